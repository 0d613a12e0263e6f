/** What the cards of the Trust tab are shown, and what they have in common: judgements that answer choices. */
import { expect, it } from "vitest";
import type { ComparedMethod } from "../../src/state/messages.generated";
import type { Traits } from "../../src/state/traits.generated";
import { find, view } from "./view";

export const comparedMethod = (
  name: string,
  values: (number | null)[],
  changes: Partial<ComparedMethod> = {},
): ComparedMethod => ({
  name,
  label: name,
  control: false,
  values,
  best: values.map(() => false),
  notes: values.map(() => null),
  rows: 1200,
  seconds: 0.1234,
  ...changes,
});

/** What is written beside the title of a card. */
export function tagOf(card: string): string {
  const tag = find(`.${card} .as-tag`);
  return tag.hidden ? "" : tag.textContent;
}

/** A judgement answers the choices that it was made for, and says so where it is not whole. */
export function answersItsChoices(
  card: string,
  words: string,
  show: (changes?: { final?: boolean }, traits?: Partial<Traits>) => void,
  others: [string, Partial<Traits>][],
): void {
  it.each(others)("is out of date under another %s", (_, change) => {
    show();
    expect(tagOf(card)).toBe("");
    view.model.receive(change);
    view.frame();
    expect(tagOf(card)).toBe("out of date");
    expect(find(`.${card}`).dataset.stale).toBe("1");
  });

  it("says that it is not complete", () => {
    show({ final: false }, { status: "running" });
    expect(tagOf(card)).toBe(words);
    view.model.receive({ status: "cancelled" });
    view.frame();
    expect(tagOf(card)).toBe("unfinished");
  });
}
