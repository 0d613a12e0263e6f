/** Choices of baselines, and what to call them. */
import type { Baseline } from "../state/messages.generated";
import { derived } from "../lib/derived";
import type { MenuItem } from "../lib/menu";
import type { View } from "../state/view";

/** The names in a choice of baselines. */
export function namesOf(baseline: Baseline): readonly string[] {
  return typeof baseline === "string" ? [baseline] : baseline;
}

/** One name alone, or the list; undefined for none, which is no choice. */
export function choiceOf(names: readonly string[]): Baseline | undefined {
  return names.length > 1 ? names : names[0];
}

/** What is chosen; nothing where this model knows of no baselines. */
export const chosenBaselines = (view: View): readonly string[] =>
  view.has("baseline") ? namesOf(view.get("baseline")) : [];

/** What to call the present choice of baselines. */
export function baselineLabel(view: View): string {
  const names = chosenBaselines(view);
  if (names.length > 1) return `the average of ${names.length}`;
  const name = names[0] ?? "";
  return view.get("baselines").find((one) => one.name === name)?.label ?? name;
}

/** All that there are to choose from. */
export const baselineItems = derived((view: View): readonly MenuItem[] =>
  view.get("baselines").map(({ name, label }) => ({ value: name, label })),
);
