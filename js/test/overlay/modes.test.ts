/** The four modes, the held scale, and what the legend says about them. */
import { describe, expect, it } from "vitest";
import {
  colourTable,
  GROUND,
  legendStrip,
  maskShare,
  maskTable,
  modeTable,
} from "../../src/data/colour-tables";
import { heat, lut } from "../../src/data/messages";
import { scaleOf, summary } from "../../src/data/statistics";
import { describe as inWords, summarise } from "../../src/overlay/descriptions";
import { legendNotes } from "../../src/overlay/legend";
import { estimateNotes } from "../../src/selection/finding";
import { HEAT, onWire, sampleTraits } from "../support/fake";
import {
  buttonOf,
  canvas,
  choose,
  draw,
  drawn,
  find,
  inputOf,
  labelled,
  selectOf,
  slide,
  steps,
  useViews,
  view,
} from "../support/view";

const diverging = lut(sampleTraits().luts!.div!)!;
const alpha = (pixel: number): number => pixel >>> 24;

describe("the colours of a mode", () => {
  it("take the opacity only over the picture", () => {
    expect(modeTable("blended", diverging, "all", 0.3)).toEqual(colourTable(diverging, "all", 0.3));
    for (const mode of ["heat", "side"] as const) {
      const table = modeTable(mode, diverging, "all", 0.3);
      expect(table).toEqual(colourTable(diverging, "all", 1));
      expect([...table.subarray(1)].every((pixel) => alpha(pixel) === 255)).toBe(true);
    }
  });

  it("of the mask hide what is small and let through what is large", () => {
    const table = maskTable("all");
    expect([alpha(table[1]!), alpha(table[512]!), alpha(table[1023]!)]).toEqual([0, 255, 0]);
    expect(alpha(table[0]!)).toBe(255); // NaN is no reason to show the picture
    expect(table[512]! & 255).toBe(GROUND);
    expect(alpha(maskTable("positive")[1]!)).toBe(255);
    expect(alpha(maskTable("negative")[1]!)).toBe(0);
    expect([0, 0.5, 1, 7].map(maskShare)).toEqual([0, 0.5, 1, 1]);
  });

  it("of the mask's legend run from the ground to the picture", () => {
    const strip = legendStrip(maskTable("positive"), "positive", 3, "masked");
    expect([...strip].map((pixel) => pixel & 255)).toEqual([GROUND, 184, 240]);
  });
});

describe("the overlay in a mode", () => {
  useViews();

  it("draws picture and map over one another, or alone, or side by side", () => {
    draw();
    const start = steps().length;
    const now = (): string[] => steps().slice(start);
    expect(canvas().dataset.mode).toBe("blended");
    choose("Mode", "heat");
    view.frame();
    expect(now()).toEqual(["fill 0", "draw 0"]);
    choose("Mode", "masked");
    view.frame();
    expect(now().slice(2)).toEqual(["draw 0", "draw 0"]);
    choose("Mode", "side");
    view.frame();
    const [gap, left, ground, right] = now()
      .slice(4)
      .map((step) => step.split(" "));
    expect([gap![0], left![0], ground![0], right![0]]).toEqual(["clear", "draw", "fill", "draw"]);
    expect(left![1]).toBe("0");
    expect(Number(right![1])).toBeGreaterThan(Number(gap![1]));
    expect(ground![1]).toBe(right![1]);
    expect(view.model.saves.map(({ mode }) => mode)).toEqual(["heat", "masked", "side"]);
    expect(view.model.sent).toEqual([]);
  });

  it("shows the picture while there is no map for it", () => {
    draw({ mode: "heat", heat: {} });
    expect(steps()).toEqual(["draw 0"]);
  });

  it("switches off the controls that would do nothing", () => {
    draw();
    const off = (): boolean[] => [inputOf("Opacity").disabled, selectOf("Colour map").disabled];
    expect(off()).toEqual([false, false]);
    choose("Mode", "heat");
    view.frame();
    expect(off()).toEqual([true, false]);
    choose("Mode", "masked");
    view.frame();
    expect(off()).toEqual([true, true]);
    choose("Mode", "blended");
    view.frame();
    expect(off()).toEqual([false, false]);
  });

  it("treats an unknown mode as the usual one", () => {
    draw({ mode: "nonsense" as "heat" });
    expect(canvas().dataset.mode).toBe("blended");
    expect(canvas().getAttribute("aria-label")).toContain("over the picture");
  });

  it("holds its scale over maps, and lets go of it", () => {
    draw();
    const hold = buttonOf("Hold scale");
    expect(hold.getAttribute("aria-pressed")).toBe("false");
    hold.click();
    view.frame();
    expect(view.model.saves).toEqual([{ scale_limit: 1 }]);
    expect(hold.getAttribute("aria-pressed")).toBe("true");
    expect(inputOf("Outlier percentile").disabled).toBe(true);
    const top = drawn()[5];
    view.model.receive({ heat: { ...sampleTraits().heat, data: onWire(HEAT.map((v) => v / 2)) } });
    view.frame();
    expect(drawn()[5]).not.toBe(top); // half the size is half the colour
    expect(find(".as-notes").textContent).toContain("scale held");
    hold.click();
    view.frame();
    expect(view.model.saves[1]).toEqual({ scale_limit: null });
    expect(drawn()[5]).toBe(top);
    slide("Outlier percentile", 20);
    view.frame();
    expect(view.model.values.scale_limit).toBeNull();
  });

  it("does not hold the scale of nothing", () => {
    draw({ heat: {} });
    buttonOf("Hold scale").click();
    view.frame();
    expect(view.model.saves).toEqual([]);
  });

  it("draws the held scale of another page that makes no sense as none", () => {
    for (const scale_limit of [0, -1, NaN, Infinity, "wide" as unknown as number]) {
      draw({ scale_limit });
      expect(labelled("Outlier percentile").matches(":disabled")).toBe(false);
      view.end();
    }
  });
});

describe("honest numbers", () => {
  const values = Float32Array.of(-4, 1, 2, 3);
  const from = (extra: object): NonNullable<ReturnType<typeof heat>> =>
    heat({ shape: [2, 2], data: onWire(values), sum: 2, gap: null, ...extra })!;
  const notes = (extra: object, held: number | null = null): string[] =>
    legendNotes({
      scale: scaleOf(values, "all", 0, held),
      summary: summary(values),
      sign: "all",
      mode: "blended",
      table: undefined,
      heat: from(extra),
    });

  it("say how much a held scale clips", () => {
    expect(scaleOf(values, "all", 0, 2)).toEqual({ limit: 2, clipped: 0.5, sparse: false, held: true });
    expect(scaleOf(values, "positive", 50, 8)).toMatchObject({ limit: 8, clipped: 0 });
    expect(notes({}, 2).slice(0, 2)).toEqual(["scale held", "50.0% beyond the scale"]);
  });

  it("say how good the estimate is and what it cost", () => {
    expect(notes({})).toEqual(["nothing clipped", "sum +2.00"]);
    expect(notes({ sum: null })).toEqual(["nothing clipped"]); // numbers that stand for the same thing repeat
    expect(
      estimateNotes(from({ gap: -0.5, error: 0.25, relative_error: 0.031, evaluations: 12345 })),
    ).toEqual(["gap −0.500", "error ±0.250 (3.1% of the map)", "12,345 evaluations"]);
    expect(estimateNotes(from({ error: 0.25, evaluations: 1 }))).toEqual(["error ±0.250", "1 evaluation"]);
    expect(estimateNotes(from({ relative_error: 0.5 }))).toEqual(["error 50.0% of the map"]);
  });

  it("say that a map is zero although the scale is held", () => {
    const zero = new Float32Array(4);
    const content = { sign: "all", mode: "blended", table: undefined, heat: undefined } as const;
    expect(legendNotes({ ...content, scale: scaleOf(zero, "all", 0, 2), summary: summary(zero) })).toEqual([
      "all zero",
    ]);
  });

  it("are in the words behind the picture, too", () => {
    const map = from({ title: "Map", error: 0.25, preview: true, changed: true });
    const field = {
      w: 2,
      h: 2,
      extent: { w: 2, h: 2 },
      side: 1,
      source: map,
      alpha: 1,
      reference: values,
      valueAt: (i: number) => values[i]!,
      paint: () => undefined,
    };
    const shown = {
      kind: "heat",
      title: "Map",
      picture: undefined,
      from: undefined,
      alpha: 1,
      field,
      stale: false,
      heat: map,
    } as const;
    expect(inWords(shown, "masked")).toContain("as a mask on the picture. Values from −4.00 to 3.00");
    expect(inWords({ ...shown, kind: "walk" }, "side")).toContain("beside the picture on its way");
    const words = summarise(shown, true);
    expect(words).toContain("sum to 2.00");
    expect(words).toContain("error ±0.250");
    expect(words).toContain("This is a preview; the chosen method is still computing");
    expect(words).toContain("weights changed while");
    expect(summarise(shown, false)).toContain("the chosen method has not finished");
    expect(summarise({ ...shown, field: undefined }, true)).toBe("");
  });
});
