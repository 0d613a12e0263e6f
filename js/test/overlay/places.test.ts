/** Boxes of a detector and pixels of a segmentation: seen on the picture, and picked there. */
import { describe, expect, it, vi } from "vitest";
import type { RawPredictions } from "../../src/state/messages.generated";
import { boxAt } from "../../src/overlay/places";
import { all, canvas, draw, find, labelled, press, useViews, view } from "../support/view";

useViews();

const item = (index: number, label: string, probability: number) => ({
  index,
  label,
  score: probability,
  probability,
});
const DETECTED: RawPredictions = {
  kind: "probability",
  output: "boxes",
  doc: "score of each box",
  items: [item(3, "cat", 0.9), item(0, "dog", 0.4)],
  boxes: [
    [0, 0, 2, 2],
    [1, 0, 2, 1],
  ],
};
const SEGMENTED: RawPredictions = {
  kind: "probability",
  output: "segmentation",
  doc: "share of the pixels where it is predicted",
  items: [item(1, "cat", 0.23), item(0, "sky", 0.77)],
};

/** A click on the middle of a pixel of the picture, which is three by two. */
function click(x: number, y: number, dragged = 0): void {
  vi.spyOn(canvas(), "getBoundingClientRect").mockReturnValue(new DOMRect(0, 0, 300, 200));
  const at = { clientX: x * 100 + 50, clientY: y * 100 + 50, button: 0, pointerId: 1, bubbles: true };
  canvas().dispatchEvent(new PointerEvent("pointerdown", { ...at, clientX: at.clientX - dragged }));
  canvas().dispatchEvent(new PointerEvent("pointermove", at));
  canvas().dispatchEvent(new MouseEvent("click", at));
  view.frame();
}

const button = (): HTMLButtonElement =>
  all("button").find((one) => one.textContent === "Explain a pixel") as HTMLButtonElement;
const asked = (): unknown[] =>
  view.model.sent.filter((one) => (one as { type: string }).type === "explain_pixel");

describe("the explained pixel", () => {
  const mark = (): HTMLElement => find(".as-explained-pixel");
  const place = (): number[] =>
    ["left", "top", "right", "bottom"].map((side) => Number(mark().style.getPropertyValue(`--as-${side}`)));

  it("is marked where it lies in a picture of other size, and goes when a class is explained", () => {
    draw({ predictions: { ...SEGMENTED, shape: [2, 4, 8] }, target: [1, 3, 2] });
    expect(mark().closest("[hidden]")).toBeNull();
    expect(place()).toEqual([2 / 8, 3 / 4, 3 / 8, 1]);
    view.model.receive({ target: [1, -1, -8] });
    view.frame();
    expect(place()).toEqual([0, 3 / 4, 1 / 8, 1]);
    view.model.receive({ target: 1 });
    view.frame();
    expect(mark().closest("[hidden]")).not.toBeNull();
  });

  it("is not marked where there are no places", () => {
    draw({ predictions: SEGMENTED, target: [1, 0, 0] });
    expect(mark().closest("[hidden]")).not.toBeNull();
  });
});

describe("boxes", () => {
  it("stand where they are in the picture, and the explained one is marked with its name", () => {
    draw({ predictions: DETECTED, target: 0 });
    const marks = all(".as-found-box");
    expect(marks.map((mark) => mark.textContent)).toEqual(["", "dog"]);
    expect(marks.map((mark) => mark.dataset.explained)).toEqual([undefined, "1"]);
    const place = (name: string): number[] =>
      marks.map((mark) => Number(mark.style.getPropertyValue(`--as-${name}`)));
    expect([place("left"), place("top"), place("right"), place("bottom")]).toEqual([
      [0, 0.33333],
      [0, 0],
      [0.66667, 0.66667],
      [1, 0.5],
    ]);
    const picture = { shape: [40, 40] as const, data: new DataView(new ArrayBuffer(4800)) };
    draw({ predictions: DETECTED, target: 0, picture });
    labelled("Zoom in").click();
    view.frame();
    const right = all(".as-found-box")[1]!.style.getPropertyValue("--as-right");
    expect(Number(right)).toBeCloseTo((2 / 40 - 1 / 6) * 1.5, 3);
  });

  it("are picked by a click into the smallest one, and not by moving the picture", () => {
    draw({ predictions: DETECTED, target: 3 });
    click(1, 0);
    expect(view.model.saves).toEqual([{ target: 0 }]);
    click(0, 1, 50);
    expect(view.model.saves).toHaveLength(1);
    click(0, 1);
    expect(view.model.saves[1]).toEqual({ target: 3 });
    expect(boxAt([[0, 0, 1, 1]], { x: 1, y: 1 })).toBeUndefined();
  });

  it("are neither compared nor said to be something else", () => {
    draw({ predictions: DETECTED, target: 3 });
    expect(find(".as-predictions .as-hint").textContent).toBe("score of each box");
    expect(find(".as-told").hidden).toBe(true);
  });

  it("are not there for models of other kinds", () => {
    draw();
    expect(find(".as-found").hidden).toBe(true);
    click(1, 0);
    expect(view.model.saves).toEqual([]);
  });
});

describe("a pixel of a segmentation", () => {
  it("is asked for after the button, once, by a click", () => {
    draw({ predictions: SEGMENTED });
    click(1, 0);
    expect(asked()).toEqual([]);
    button().click();
    expect(button().getAttribute("aria-pressed")).toBe("true");
    click(1, 0);
    expect(asked()).toEqual([{ type: "explain_pixel", row: 0, column: 1 }]);
    click(0, 0);
    expect(asked()).toHaveLength(1);
    expect(button().getAttribute("aria-pressed")).toBe("false");
  });

  it("is asked for by keys, too, and Escape takes it back", () => {
    draw({ predictions: SEGMENTED });
    button().click();
    press(canvas(), "Escape");
    press(canvas(), "ArrowRight");
    press(canvas(), "Enter");
    expect(asked()).toEqual([]);
    button().click();
    press(canvas(), "ArrowLeft");
    press(canvas(), "Enter");
    expect(asked()).toHaveLength(1);
  });

  it("is called by its class and place", () => {
    draw({ predictions: SEGMENTED, target: [1, 4, 7] });
    expect(find(".as-sentence").textContent).toContain("cat at row 4, column 7");
    expect(all(".as-predictions [role=option]").map((row) => row.textContent)).toEqual([
      "cat23.0%",
      "sky77.0%",
    ]);
  });

  it("cannot be asked of a model of rows, or without a kernel", () => {
    draw();
    expect(button().hidden).toBe(true);
    draw({ predictions: SEGMENTED, _live: false });
    expect(button().disabled).toBe(true);
  });
});
