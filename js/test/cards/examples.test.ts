import { describe, expect, it } from "vitest";
import { itemAfter } from "../../src/cards/examples";
import type { RawPicture } from "../../src/state/messages.generated";
import type { Traits } from "../../src/state/traits.generated";
import { onWire } from "../support/fake";
import { choose, draw, find, labelled, press, useViews, view } from "../support/view";

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

  it("say of a segmentation which share of the pixels the class has", () => {
    const known = { label: "cat", amount: 0.124, kind: "probability", pixels: true } as const;
    draw({ ...several(2), example_predictions: [known] });
    expect(items()[0]!.textContent).toBe("cat 12% of pixels");
  });

  it("stay as they are without a kernel", () => {
    draw({ ...several(3), _live: false });
    items()[2]!.click();
    view.frame();
    expect(view.model.values.example).toBe(0);
    expect(items().map((item) => item.getAttribute("aria-disabled"))).toEqual([null, "true", "true"]);
  });

  it("say what the model says of each, and where that is wrong", () => {
    draw({
      ...several(3),
      example_predictions: [
        { label: "cat", amount: 0.412, kind: "probability", truth: "cat", wrong: false, of_truth: 0.412 },
        { label: "<i>dog</i>", amount: 0.9, kind: "probability", truth: "hat", wrong: true, of_truth: 0.03 },
        {},
      ],
    });
    expect(items().map((item) => item.textContent)).toEqual(["cat 41%", "<i>dog</i> 90%is hat", "example 2"]);
    expect(items()[1]!.dataset.wrong).toBe("1");
    expect(find(".as-example-count").textContent).toBe("3 examples, 1 wrong of 2 known");
  });

  it("are sorted by error and by confidence, on the page alone", () => {
    const known = (amount: number, wrong: boolean, ofTruth: number): object => {
      return { label: "cat", amount, kind: "probability", truth: "hat", wrong, of_truth: ofTruth };
    };
    draw({
      ...several(4),
      example: 2,
      example_predictions: [
        known(0.6, false, 0.6),
        known(0.5, true, 0.2),
        known(0.9, true, 0.01),
        known(0.8, false, 0.8),
      ],
    });
    const order = (): string[] =>
      items().map((item) => item.querySelector<HTMLElement>(".as-example-name")!.title[8]!);
    choose("Order of examples", "error");
    view.frame();
    expect(order()).toEqual(["2", "b", "0", "3"]);
    choose("Order of examples", "confidence");
    view.frame();
    expect(order()).toEqual(["2", "3", "0", "b"]);
    expect(view.model.saves).toEqual([]);
    press(items()[0]!, "ArrowRight"); // keys go by what is seen
    view.frame();
    expect(view.model.saves).toEqual([{ example: 3 }]);
  });

  it("are explained for what is predicted of them, or for a fixed class", () => {
    draw(several(2));
    const box = find(".as-example-follow input") as HTMLInputElement;
    expect(box.checked).toBe(true);
    box.click();
    view.frame();
    expect(view.model.saves).toEqual([{ explain_predicted: false }]);
    view.end();
    draw({ ...several(2), classes: { count: 1, names: [] } });
    expect(find(".as-example-follow").hidden).toBe(true);
  });

  it("know where keys lead", () => {
    expect(itemAfter("ArrowLeft", 0, 5)).toBe(0);
    expect(itemAfter("PageDown", 1, 5)).toBe(4);
    expect(itemAfter("End", 1, 5)).toBe(4);
    expect(itemAfter("Tab", 1, 5)).toBeUndefined();
    expect(itemAfter("Escape", 1, 5)).toBeUndefined();
  });
});
