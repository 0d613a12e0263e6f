/** The overlay: what a person sees, does and hears. */
import { describe, expect, it } from "vitest";
import { colourTable } from "../../src/data/colour-tables";
import { lut } from "../../src/data/messages";
import { panesFor } from "../../src/overlay/panes";
import { valueUnder } from "../../src/overlay/stage";
import { HEAT, onWire, sampleTraits } from "../support/fake";
import { canvas, choose, draw, drawn, find, opacities, press, slide, useViews, view } from "../support/view";

useViews();

describe("the overlay", () => {
  const diverging = lut(sampleTraits().luts!.div!)!;

  it("draws the heat through the colour table", () => {
    draw({ opacity: 0.7 });
    const table = colourTable(diverging, "all", 0.7);
    expect(drawn()[0]).toBe(table[1]); // -1, the low end
    expect(drawn()[2]).toBe(table[512]); // 0
    expect(drawn()[5]).toBe(table[1023]); // 1, the high end
  });

  it("restyles once per frame, without waiting for a message", () => {
    draw();
    const before = Number(canvas().dataset.drawn);
    const first = drawn();
    slide("Opacity", 0.2);
    slide("Opacity", 0.9);
    choose("Sign", "positive");
    expect(Number(canvas().dataset.drawn)).toBe(before);
    view.frame();
    expect(Number(canvas().dataset.drawn)).toBe(before + 1);
    expect(drawn()).not.toEqual(first);
    expect(view.model.saves).toEqual([{ opacity: 0.9, sign: "positive" }]);
    expect(view.model.sent).toEqual([]);
  });

  it("draws no heat at opacity 0 and nothing for NaN at opacity 1", () => {
    draw({ opacity: 0 });
    expect([...drawn()].every((pixel) => pixel >>> 24 === 0)).toBe(true);
    const values = HEAT.slice();
    values[1] = NaN;
    view.model.receive({ opacity: 1, heat: { ...sampleTraits().heat, data: onWire(values) } });
    view.frame();
    expect([...drawn()].map((pixel) => pixel >>> 24)).toEqual([255, 0, 255, 255, 255, 255]);
    expect(find(".as-notes").textContent).toContain("1 NaN, not drawn");
  });

  it("says that a map is all zero and draws nothing", () => {
    draw({ heat: { ...sampleTraits().heat, data: onWire(new Float32Array(6)) }, opacity: 1 });
    expect(drawn().every((pixel) => pixel >>> 24 === 255)).toBe(true); // the picture
    expect(find(".as-notes").textContent).toContain("all zero");
    expect(canvas().getAttribute("aria-label")).toContain("All values are zero");
  });

  it("keeps a stale map, dimmed and marked, under its own title", () => {
    draw();
    choose("Method", "Saliency");
    view.frame();
    const card = find(".as-overlay");
    expect(card.dataset.stale).toBe("1");
    expect(card.querySelector(".as-tag")!.textContent).toBe("updating");
    expect(card.querySelector(".as-title")!.textContent).toBe("Integrated Gradients for cat");
    expect(canvas().dataset.shown).toBe("heat");
    view.model.receive({
      heat: {
        ...sampleTraits().heat,
        title: "Saliency for cat",
        request: { method: "Saliency", target: 7, baseline: "zero", layer: null },
      },
    });
    view.frame();
    expect(card.dataset.stale).toBeUndefined();
    expect(card.querySelector(".as-title")!.textContent).toBe("Saliency for cat");
  });

  it("walks: other picture, title with alpha, and a label for people who do not see it", () => {
    draw();
    expect(opacities()).toEqual([1, 1]); // picture, map
    slide("Path position", 0.5);
    view.frame();
    expect(opacities().slice(2)).toEqual([1, 0.5, 1]); // baseline, picture over it, map
    expect(canvas().dataset.shown).toBe("walk");
    expect(find(".as-overlay .as-title").textContent).toBe(
      "Integrated Gradients for cat, accumulated to α = 0.50",
    );
    expect(canvas().getAttribute("aria-label")).toContain("on its way from the baseline");
    expect(drawn()[5]).toBe(colourTable(diverging, "all", 0.6)[1023]);
  });

  it("reads values with the arrow keys", () => {
    draw();
    press(canvas(), "ArrowLeft"); // shows the cross in the middle
    press(canvas(), "End");
    press(canvas(), "PageDown");
    view.frame();
    expect(find(".as-readout").textContent).toBe("x 2, y 1: +1.00");
    expect(find(".as-overlay > .as-unseen[aria-live]").textContent).toBe("x 2, y 1: +1.00");
    press(canvas(), "ArrowLeft");
    view.frame();
    expect(find(".as-readout").textContent).toBe("x 1, y 1: +0.500");
    canvas().dispatchEvent(new Event("blur"));
    view.frame();
    expect(find(".as-readout").textContent).toBe("");
  });

  it("reads a coarser map below a pixel of the picture", () => {
    const field = {
      w: 2,
      h: 1,
      extent: { w: 2, h: 1 },
      side: 1,
      source: HEAT,
      alpha: 1,
      reference: HEAT,
      valueAt: (i: number) => i,
      paint: () => undefined,
    };
    expect([0, 1, 2, 3].map((x) => valueUnder(field, { x, y: 3 }, 4, 4))).toEqual([0, 0, 1, 1]);
  });

  it("has a canvas that is a whole multiple of small pictures and bounded for large ones", () => {
    const size = (w: number, h: number, ratio: number): [number, number] => {
      const { width, height } = panesFor(w, h, ratio, 1);
      return [width, height];
    };
    expect(size(224, 224, 1)).toEqual([448, 448]);
    expect(size(224, 112, 2)).toEqual([896, 448]);
    expect(size(1024, 512, 1)).toEqual([720, 360]);
    expect(size(3000, 3000, 3)).toEqual([1440, 1440]);
    expect(size(32, 32, 1)).toEqual([448, 448]);
  });
});
