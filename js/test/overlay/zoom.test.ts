/** Zooming, moving the part in view, and the division of the canvas. */
import { describe, expect, it, vi } from "vitest";
import { crossStep } from "../../src/lib/arrow-keys";
import {
  largestZoom,
  panBy,
  reveal,
  toPicture,
  toView,
  type Viewport,
  wheelFactor,
  WHOLE,
  zoomBy,
} from "../../src/lib/zoom";
import { canvasWidth, panesFor, paneSpan, toPane } from "../../src/overlay/panes";
import { viewportStep } from "../../src/overlay/pointing";
import { canvas, draw, find, labelled, press, puts, slide, steps, useViews, view } from "../support/view";

const close = (a: Viewport, b: Viewport): void => {
  expect(a.zoom).toBeCloseTo(b.zoom);
  expect(a.left).toBeCloseTo(b.left);
  expect(a.top).toBeCloseTo(b.top);
};

describe("the view", () => {
  it("keeps what lies under the pointer in its place", () => {
    const at = { x: 0.25, y: 0.75 };
    for (const factor of [1.5, 3, 0.5]) {
      const before = { zoom: 4, left: 0.3, top: 0.4 };
      const place = toPicture(before, at);
      const after = zoomBy(before, factor, 100, at);
      expect(after.zoom).toBeCloseTo(4 * factor);
      expect(toView(after, place).x).toBeCloseTo(at.x);
      expect(toView(after, place).y).toBeCloseTo(at.y);
    }
  });

  it("never leaves the picture, and ends at the whole of it", () => {
    close(zoomBy(WHOLE, 0.5, 100), WHOLE);
    close(zoomBy({ zoom: 2, left: 0.5, top: 0 }, 0.1, 100), WHOLE);
    close(zoomBy(WHOLE, 1000, 28), { zoom: 28, left: 27 / 56, top: 27 / 56 });
    close(panBy({ zoom: 2, left: 0.5, top: 0 }, 5, -5), { zoom: 2, left: 0.5, top: 0 });
    close(panBy(WHOLE, 1, 1), WHOLE);
  });

  it("moves by shares of itself", () => {
    close(panBy({ zoom: 4, left: 0.25, top: 0.25 }, 0.5, -0.5), { zoom: 4, left: 0.375, top: 0.125 });
  });

  it("follows the cross as little as need be", () => {
    const before = { zoom: 4, left: 0.25, top: 0.25 };
    expect(reveal(before, { x: 0.4, y: 0.4 })).toBe(before);
    const after = reveal(before, { x: 0.9, y: 0.4 });
    expect(after.top).toBe(0.25);
    const seen = toView(after, { x: 0.9, y: 0.4 });
    expect(seen.x).toBeGreaterThan(0.9);
    expect(seen.x).toBeLessThan(1);
    expect(reveal(WHOLE, { x: 1, y: 1 })).toBe(WHOLE);
  });

  it("ends where a few pixels fill it", () => {
    expect(largestZoom(224, 100)).toBe(28);
    expect(largestZoom(3, 2)).toBe(1);
  });

  it("takes turns of the wheel in every unit, and no wild ones", () => {
    expect(wheelFactor(-100, 0)).toBeGreaterThan(1);
    expect(wheelFactor(100, 0) * wheelFactor(-100, 0)).toBeCloseTo(1);
    expect(wheelFactor(3, 1)).toBeCloseTo(wheelFactor(48, 0));
    expect(wheelFactor(-1e9, 0)).toBeLessThan(2);
  });
});

describe("keys on the picture", () => {
  const size = { width: 10, height: 6 };

  it("zoom with +, - and 0, and move with Shift only what is zoomed", () => {
    expect(viewportStep("+", true, WHOLE, 8)!.zoom).toBe(1.5);
    expect(viewportStep("-", false, WHOLE, 8)).toEqual(WHOLE);
    const near = { zoom: 4, left: 0.2, top: 0.2 };
    expect(viewportStep("0", false, near, 8)).toBe(WHOLE);
    close(viewportStep("ArrowRight", true, near, 8)!, { zoom: 4, left: 0.25, top: 0.2 });
    expect(viewportStep("ArrowRight", true, WHOLE, 8)).toBeUndefined();
    expect(viewportStep("ArrowRight", false, near, 8)).toBeUndefined();
    expect(viewportStep("toString", true, near, 8)).toBeUndefined();
  });

  it("move the cross: first to the middle, then step by step, to the ends, never out", () => {
    expect(crossStep("ArrowLeft", false, undefined, size)).toEqual({ x: 4, y: 2 });
    expect(crossStep("ArrowLeft", false, { x: 4, y: 2 }, size)).toEqual({ x: 3, y: 2 });
    expect(crossStep("ArrowLeft", true, { x: 4, y: 2 }, size)).toEqual({ x: 0, y: 2 });
    expect(crossStep("End", false, undefined, size)).toEqual({ x: 9, y: 2 });
    expect(crossStep("PageDown", false, { x: 1, y: 1 }, size)).toEqual({ x: 1, y: 5 });
    expect(crossStep("x", false, undefined, size)).toBeUndefined();
    expect(crossStep("ArrowUp", false, undefined, { width: 0, height: 0 })).toBeUndefined();
  });
});

describe("panes", () => {
  it("share the width of the canvas and the height of one", () => {
    const panes = panesFor(224, 224, 1, 2);
    expect(panes).toMatchObject({ width: 224, height: 224, gap: 7 });
    expect(canvasWidth(panes)).toBe(455);
    expect(paneSpan(panes, 1)).toEqual({ from: 231 / 455, width: 224 / 455 });
    expect(canvasWidth(panesFor(4000, 3000, 1, 2))).toBeLessThan(740);
  });

  it("show the same place twice", () => {
    const panes = panesFor(100, 100, 1, 2);
    const first = toPane(panes, { x: 0.25, y: 0.5 });
    const { from, width } = paneSpan(panes, 1);
    const second = toPane(panes, { x: from + first.x * width, y: 0.5 });
    expect(second.x).toBeCloseTo(first.x);
    expect(toPane(panes, { x: 0.4999, y: 2 })).toEqual({ x: 1, y: 1 });
    expect(toPane(panesFor(100, 100, 1, 1), { x: 0.75, y: 0.5 })).toEqual({ x: 0.75, y: 0.5 });
  });
});

describe("hands on the picture", () => {
  useViews();
  const wide = { picture: { shape: [40, 40] as const, data: new DataView(new ArrayBuffer(4800)) } };
  const pointer = (type: string, clientX: number, clientY: number): void => {
    canvas().dispatchEvent(new PointerEvent(type, { clientX, clientY, bubbles: true }));
  };
  const place = (): void => {
    vi.spyOn(canvas(), "getBoundingClientRect").mockReturnValue(new DOMRect(0, 0, 400, 400));
    let captured = false;
    canvas().setPointerCapture = () => (captured = true);
    canvas().hasPointerCapture = () => captured;
  };
  const factor = (): string => find(".as-factor").textContent;
  const wheel = (init: WheelEventInit): WheelEvent => {
    const event = new WheelEvent("wheel", { cancelable: true, bubbles: true, deltaY: init.deltaY });
    // happy-dom's wheel events know no pointer and no keys
    Object.assign(event, { clientX: 200, clientY: 200, metaKey: init.metaKey ?? false });
    canvas().dispatchEvent(event);
    return event;
  };

  it("zoom by buttons and go back to the whole", () => {
    draw(wide);
    expect(labelled("Zoom out").getAttribute("aria-disabled")).toBe("true");
    labelled("Zoom in").click();
    labelled("Zoom in").click();
    view.frame();
    expect(factor()).toBe("2.3×");
    labelled("Zoom out").click();
    view.frame();
    expect(factor()).toBe("1.5×");
    labelled("Reset zoom").click();
    view.frame();
    expect(factor()).toBe("");
    expect(view.model.saves).toEqual([]);
  });

  it("zoom by the wheel with Ctrl, and leave the bare wheel to the notebook", () => {
    draw(wide);
    place();
    expect(wheel({ deltaY: -100 }).defaultPrevented).toBe(false);
    expect(wheel({ deltaY: -100, metaKey: true }).defaultPrevented).toBe(true);
    view.frame();
    expect(factor()).toBe("1.3×");
  });

  it("drag what is zoomed, and read what is not", () => {
    draw(wide);
    place();
    pointer("pointermove", 205, 5);
    view.frame();
    expect(find(".as-readout").textContent).toContain("x 20, y 0");
    press(canvas(), "+");
    press(canvas(), "+");
    pointer("pointerdown", 200, 200);
    pointer("pointermove", 400, 200); // as far as it goes to the left
    pointer("pointermove", 4000, 200);
    view.frame();
    pointer("pointerup", 4000, 200);
    canvas().hasPointerCapture = () => false;
    pointer("pointermove", 1, 200);
    view.frame();
    expect(find(".as-readout").textContent).toContain("x 0, y 20");
  });

  it("show the cross in both panes, at the pixel it reads", () => {
    draw({ ...wide, mode: "side" });
    press(canvas(), "ArrowDown");
    view.frame();
    const crosses = [...view.el.querySelectorAll<HTMLElement>(".as-cross")];
    expect(crosses.map(({ hidden }) => hidden)).toEqual([false, false]);
    expect(crosses[0]!.style.getPropertyValue("--as-x")).toBe(crosses[1]!.style.getPropertyValue("--as-x"));
    expect(Number(crosses[1]!.style.getPropertyValue("--as-from"))).toBeGreaterThan(0.5);
    canvas().dispatchEvent(new Event("blur"));
    expect(crosses.map(({ hidden }) => hidden)).toEqual([true, true]);
  });

  it("redraw a moved view without painting the map again", () => {
    draw(wide);
    const [drawnBefore, putsBefore] = [steps().length, puts()];
    labelled("Zoom in").click();
    view.frame();
    expect(steps().length).toBeGreaterThan(drawnBefore);
    expect(puts()).toBe(putsBefore);
    slide("Opacity", 0.1);
    view.frame();
    expect(puts()).toBeGreaterThan(putsBefore); // while other colours have to be painted
  });
});
