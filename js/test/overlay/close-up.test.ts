/** Large pictures travel coarse; the part in view is asked for when it has rested. */
import { describe, expect, it, vi } from "vitest";
import { boxInView } from "../../src/overlay/close-up";
import { picture } from "../../src/data/messages";
import { onWire } from "../support/fake";
import { canvas, draw, find, labelled, steps, useViews, view } from "../support/view";

useViews();

/** Twenty by thirty pixels, of which ten by fifteen came. */
const LARGE = {
  shape: [10, 15] as const,
  full: [20, 30] as const,
  data: onWire(new Uint8Array(450).fill(9)),
};
const box = (): unknown[] => view.model.saves.map((one) => (one as { view_box?: unknown }).view_box);

describe("a large picture", () => {
  it("has the size of the picture itself, of which places are told", () => {
    const read = picture(LARGE)!;
    expect([read.w, read.h, read.image.w, read.image.h]).toEqual([30, 20, 15, 10]);
    expect(picture({ ...LARGE, shape: [3, 3] })).toBeUndefined();
  });

  it("needs nothing finer where all of it came, or all of it is in view", () => {
    const read = picture(LARGE);
    const small = picture({ shape: LARGE.shape, data: LARGE.data });
    expect(boxInView(read, { zoom: 1, left: 0, top: 0 })).toBeNull();
    expect(boxInView(small, { zoom: 2, left: 0, top: 0 })).toBeNull();
    expect(boxInView(read, { zoom: 2, left: 0.5, top: 0 })).toEqual([11, 0, 30, 13]);
  });

  it("is asked for in part when the view has rested, and no more when the whole is seen again", () => {
    vi.useFakeTimers();
    try {
      draw({ picture: LARGE, view_box: null, close_up: {} });
      labelled("Zoom in").click();
      view.frame();
      vi.advanceTimersByTime(100);
      labelled("Zoom in").click();
      view.frame();
      expect(box()).toEqual([]);
      vi.advanceTimersByTime(300);
      view.frame();
      expect(box()).toEqual([boxInView(picture(LARGE), { zoom: 2.25, left: 5 / 18, top: 5 / 18 })]);
      labelled("Reset zoom").click();
      view.frame();
      vi.advanceTimersByTime(300);
      view.frame();
      expect(box()[1]).toBeNull();
    } finally {
      vi.useRealTimers();
    }
  });

  it("is drawn finer where the part came", () => {
    draw({ picture: LARGE, mode: "blended", close_up: {}, view_box: null });
    const before = steps().length;
    const part = {
      shape: [10, 10] as const,
      data: onWire(new Uint8Array(300).fill(200)),
      box: [0, 0, 10, 10],
    };
    view.model.receive({ close_up: part });
    view.frame();
    const drawn = steps().slice(before);
    expect(drawn.length).toBe(before + 1); // the picture, the part of it, and the map
    expect(canvas().dataset.shown).toBe("heat");
    expect(find(".as-stage").dataset.empty).toBeUndefined();
  });

  it("is asked for in no saved page", () => {
    vi.useFakeTimers();
    try {
      draw({ picture: LARGE, _live: false, view_box: null, close_up: {} });
      labelled("Zoom in").click();
      view.frame();
      vi.advanceTimersByTime(1000);
      view.frame();
      expect(view.model.saves).toEqual([]);
    } finally {
      vi.useRealTimers();
    }
  });
});
