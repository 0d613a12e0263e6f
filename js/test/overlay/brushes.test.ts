/** Regions picked on the picture: by the pointer, and by keys alone. */
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Region } from "../../src/state/messages.generated";
import { onWire } from "../support/fake";
import { regionTraits } from "../support/region-traits";
import { all, canvas, draw, drawPart, find, labelled, press, useViews, view } from "../support/view";

useViews();

/** The canvas is 800 by 600 pixels of the page: 100 for one of the picture. */
function pointer(type: string, x: number, y: number): void {
  const event = new PointerEvent(type, { clientX: x * 100, clientY: y * 100, bubbles: true, button: 0 });
  canvas().dispatchEvent(event);
  view.frame();
}

function drag(...places: readonly (readonly [number, number])[]): void {
  pointer("pointerdown", ...places[0]!);
  for (const place of places.slice(1)) pointer("pointermove", ...place);
  pointer("pointerup", ...places.at(-1)!);
}

const region = (): Region | null | undefined => view.model.values.selection;
const line = (of: "picked" | "draft"): string => find(`.as-region-${of} path`).getAttribute("d") ?? "";
const spoken = (): string => find(".as-overlay > [aria-live]").textContent;
const key = (name: string, init: KeyboardEventInit = {}): void => {
  press(canvas(), name, init);
  view.frame();
};

function start(changes: Parameters<typeof regionTraits>[0] = {}): void {
  draw(regionTraits(changes));
  vi.spyOn(canvas(), "getBoundingClientRect").mockReturnValue(new DOMRect(0, 0, 800, 600));
  canvas().setPointerCapture = () => undefined;
}

beforeEach(() => start());

/** A click as browsers send it. */
function click(x: number, y: number): void {
  pointer("pointermove", x, y);
  pointer("pointerdown", x, y);
  pointer("pointerup", x, y);
  const event = new MouseEvent("click", { clientX: x * 100, clientY: y * 100, bubbles: true });
  canvas().dispatchEvent(event);
  view.frame();
}

describe("a click without a tool", () => {
  it("asks about the block around the place, and again lets go of it", () => {
    draw(regionTraits({ detail: 4 }));
    vi.spyOn(canvas(), "getBoundingClientRect").mockReturnValue(new DOMRect(0, 0, 800, 600));
    click(5.5, 4.5);
    expect(region()).toEqual({ kind: "box", box: [4, 4, 6, 8] });
    expect(view.model.values.tab).toBe("where");
    click(2.5, 1.5);
    expect(region()).toEqual({ kind: "box", box: [0, 0, 4, 4] });
    click(3.5, 3.5);
    expect(region()).toBeNull();
  });

  it("of a map of pixels means some around it", () => {
    click(5.5, 4.5);
    expect(region()).toEqual({ kind: "box", box: [4, 5, 5, 6] }); // a fourteenth of six, but one at least
  });

  it("asks nothing where something else is meant", () => {
    labelled("Lasso").click();
    click(5.5, 4.5);
    expect(region()).toBeNull();
    labelled("Lasso").click();
    find(".as-stage").dataset.picking = "1";
    click(5.5, 4.5);
    expect(region()).toBeNull();
    delete find(".as-stage").dataset.picking;
    const boxes = [[4, 3, 7, 6]];
    start({ predictions: { kind: "score", output: "boxes", items: [], boxes } as never });
    click(5.5, 4.5);
    expect(region()).toBeNull();
    click(1.5, 1.5);
    expect(region()).not.toBeNull();
  });

  it("is done by Enter at the cross", () => {
    key("ArrowRight");
    key("Enter");
    expect(region()).toMatchObject({ kind: "box" });
  });
});

describe("by the pointer", () => {
  it("a box holds every pixel that it touches, whichever way it is drawn", () => {
    labelled("Box").click();
    drag([5.5, 4.2], [3, 3], [1.2, 2.5]);
    expect(region()).toEqual({ kind: "box", box: [2, 1, 5, 6] });
    expect(view.model.saves.at(-1)).toEqual({ selection: { kind: "box", box: [2, 1, 5, 6] } });
    expect(line("picked")).toContain("M1 2H6");
    drag([-1, -2], [20, 30]);
    expect(region()).toEqual({ kind: "box", box: [0, 0, 6, 8] });
  });

  it("shows a box while it is drawn, and takes a click for none", () => {
    labelled("Box").click();
    pointer("pointerdown", 2.5, 1.5);
    pointer("pointermove", 4.5, 3.5);
    expect(line("draft")).toBe("M2 1H5V4H2Z");
    expect(region()).toBeNull();
    pointer("pointercancel", 4.5, 3.5);
    expect(line("draft")).toBe("");
    drag([2.5, 1.5], [2.51, 1.5]);
    expect(region()).toBeNull();
    expect(view.model.saves).toEqual([]);
  });

  it("a lasso closes itself; one around no pixel picks nothing", () => {
    labelled("Lasso").click();
    drag([1, 1], [6, 1], [6, 5], [1, 5]);
    expect(region()).toEqual({
      kind: "lasso",
      points: [
        [1, 1],
        [6, 1],
        [6, 5],
        [1, 5],
      ],
    });
    const before = region();
    drag([3, 3], [7.9, 3.1], [3, 3.2]);
    expect(region()).toEqual(before);
  });

  it("a click picks the segment, which is shown before", () => {
    labelled("Segment").click();
    pointer("pointermove", 6.2, 0.5);
    expect(line("draft")).toContain("M4 0H8");
    drag([6.2, 0.5]);
    expect(region()).toEqual({ kind: "segment", point: [6, 0] });
    expect(line("picked")).toContain("M4 2H8");
    pointer("pointerleave", 9, 9);
    expect(line("draft")).toBe("");
  });

  it("picks pixels of the part in view when zoomed in", () => {
    start({ picture: { shape: [12, 16], data: onWire(new Uint8Array(12 * 16 * 3)) } });
    key("+");
    labelled("Box").click();
    drag([0, 0], [4, 3]);
    expect(region()).toEqual({ kind: "box", box: [2, 2, 6, 8] });
    const [left, top, width, height] = find(".as-region").getAttribute("viewBox")!.split(" ").map(Number);
    expect([left, top, width, height].map((one) => Number(one!.toFixed(3)))).toEqual([2.667, 2, 10.667, 8]);
  });

  it("does nothing without a tool, and none is in use any more when its button is pressed again", () => {
    drag([1, 1], [4, 4]);
    labelled("Box").click();
    expect(labelled("Box").getAttribute("aria-pressed")).toBe("true");
    expect(canvas().dataset.brush).toBe("box");
    labelled("Box").click();
    expect(labelled("Box").getAttribute("aria-pressed")).toBe("false");
    drag([1, 1], [4, 4]);
    expect(region()).toBeNull();
  });

  it("brings up the tab that answers", () => {
    start({ tab: "trust" });
    labelled("Box").click();
    drag([1, 1], [4, 4]);
    expect(view.model.values.tab).toBe("where");
  });
});

describe("by keys alone", () => {
  it("a box begins at the cross, grows with it, and is set", () => {
    key("ArrowRight"); // the cross comes into the middle: 3, 2
    key("b");
    expect(spoken()).toBe("Box begun at x 3, y 2");
    key("ArrowRight");
    key("ArrowRight");
    key("ArrowDown");
    expect(line("draft")).toBe("M3 2H6V4H3Z");
    expect(spoken()).toMatch(/^x 5, y 3: .*; box 3 wide, 2 high$/);
    key("ArrowLeft", { shiftKey: true });
    expect(line("draft")).toBe("M0 2H4V4H0Z");
    key("Enter");
    expect(region()).toEqual({ kind: "box", box: [2, 0, 4, 4] });
    expect(line("draft")).toBe("");
  });

  it("leaves the box, the tool, and then the key to the notebook", () => {
    const heard = vi.fn();
    document.body.addEventListener("keydown", heard);
    labelled("Box").click();
    key("Enter");
    expect(line("draft")).toBe("M3 2H4V3H3Z");
    key("Escape");
    expect(line("draft")).toBe("");
    expect(labelled("Box").getAttribute("aria-pressed")).toBe("true");
    key("Escape");
    expect(labelled("Box").getAttribute("aria-pressed")).toBe("false");
    expect(heard).not.toHaveBeenCalled();
    key("Escape");
    expect(heard).toHaveBeenCalledOnce();
    document.body.removeEventListener("keydown", heard);
    expect(region()).toBeNull();
  });

  it("picks the segment under the cross, and lets go of it", () => {
    key("End");
    key("s");
    expect(region()).toEqual({ kind: "segment", point: [7, 2] });
    key("Delete");
    expect(region()).toBeNull();
    expect(line("picked")).toBe("");
    expect(spoken()).toBe("No region");
  });

  it("is told to whoever comes to the picture, and a box is left with the picture", () => {
    expect(canvas().getAttribute("aria-keyshortcuts")).toBe("B S Delete");
    const words = canvas()
      .getAttribute("aria-describedby")!
      .split(" ")
      .map((id) => find(`#${id}`).textContent);
    expect(words.join(" ")).toContain("Key B begins a box at the cross");
    key("b");
    canvas().dispatchEvent(new Event("blur"));
    expect(line("draft")).toBe("");
  });
});

describe("a region", () => {
  it("is drawn in both panes, and without segments waits for them", () => {
    start({ selection: { kind: "box", box: [0, 0, 2, 2] }, mode: "side" });
    expect(all(".as-region").map((pane) => pane.hasAttribute("hidden"))).toEqual([false, false]);
    view.model.receive({ mode: "blended" });
    view.frame();
    expect(all(".as-region").map((pane) => pane.hasAttribute("hidden"))).toEqual([false, true]);
    start({ selection: { kind: "segment", point: [0, 0] }, segments: {} });
    expect(find(".as-region").hasAttribute("hidden")).toBe(true);
  });

  it("is picked only where the kernel knows of regions", () => {
    drawPart("overlay", ["picture", "heat", "luts", "mode", "opacity"]);
    expect(all(".as-brushes, .as-region")).toEqual([]);
    expect(canvas().hasAttribute("aria-keyshortcuts")).toBe(false);
  });
});
