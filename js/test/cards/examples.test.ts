import { describe, expect, it } from "vitest";
import { itemAfter } from "../../src/cards/examples";
import type { RawPicture } from "../../src/state/messages.generated";
import type { Traits } from "../../src/state/traits.generated";
import { onWire } from "../support/fake";
import { draw, find, labelled, press, useViews, view } from "../support/view";

useViews();

describe("examples", () => {
  const picture: RawPicture = { shape: [1, 1], data: onWire(new Uint8Array(3)) };
  const several = (count: number): Partial<Traits> => ({
    examples: Array.from({ length: count }, (_, i) => ({
      label: i === 1 ? "<b>two</b>" : `example ${i}`,
      picture,
    })),
  });
  const items = (): HTMLElement[] => [...labelled("Examples").querySelectorAll<HTMLElement>("[role=option]")];

  it("are not shown when there is only one", () => {
    draw(several(1));
    expect(find(".as-batch").hidden).toBe(true);
    view.end();
    draw({ examples: undefined as unknown as [] });
    expect(find(".as-batch").hidden).toBe(true);
  });

  it("are picked by click and by arrow keys", () => {
    draw(several(4));
    expect(items()).toHaveLength(4);
    expect(items()[1]!.textContent).toBe("<b>two</b>");
    items()[2]!.click();
    view.frame();
    expect(view.model.saves).toEqual([{ example: 2 }]);
    expect(items().map((item) => item.getAttribute("aria-selected"))).toEqual([
      "false",
      "false",
      "true",
      "false",
    ]);
    press(items()[2]!, "ArrowRight");
    view.frame();
    expect(view.model.saves[1]).toEqual({ example: 3 });
    expect(document.activeElement).toBe(items()[3]);
    press(items()[3]!, "ArrowRight"); // there is no further one
    press(items()[3]!, "Home");
    view.frame();
    expect(view.model.saves.slice(2)).toEqual([{ example: 0 }]);
    expect(items().map((item) => item.tabIndex)).toEqual([0, -1, -1, -1]);
  });

  it("stay as they are without a kernel", () => {
    draw({ ...several(3), _live: false });
    items()[2]!.click();
    view.frame();
    expect(view.model.values.example).toBe(0);
    expect(items().map((item) => item.getAttribute("aria-disabled"))).toEqual([null, "true", "true"]);
  });

  it("know where keys lead", () => {
    expect(itemAfter("ArrowLeft", 0, 5)).toBe(0);
    expect(itemAfter("PageDown", 1, 5)).toBe(4);
    expect(itemAfter("End", 1, 5)).toBe(4);
    expect(itemAfter("Tab", 1, 5)).toBeUndefined();
    expect(itemAfter("Escape", 1, 5)).toBeUndefined();
  });
});
