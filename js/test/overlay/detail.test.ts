/** Maps that are summed over blocks on the stage, and what is said about them. */
import { describe, expect, it, vi } from "vitest";
import { doubt } from "../../src/selection/finding";
import type { Heat } from "../../src/data/messages";
import { onWire, sampleTraits } from "../support/fake";
import { draw, find, inputOf, slide, useViews, view } from "../support/view";

useViews();

const SIDE = 12;
/** One on the upper left ninth, two in all on the lower right one, against; nothing elsewhere. */
const values = Float32Array.from({ length: SIDE * SIDE }, (_, i) => {
  const [x, y] = [i % SIDE, Math.floor(i / SIDE)];
  if (x < 4 && y < 4) return 0.5;
  return x >= 8 && y >= 8 ? -0.125 : 0;
});
const picture = { shape: [SIDE, SIDE] as const, data: onWire(new Uint8Array(SIDE * SIDE * 3)) };

function drawMap(changes: object = {}, traits: object = {}): void {
  const { heat } = sampleTraits();
  draw({
    picture,
    heat: {
      ...heat,
      shape: [SIDE, SIDE],
      data: onWire(values),
      sum: 6,
      gap: 0,
      summable: true,
      quantity: "contribution",
      unit: "contribution to the score of cat",
      ...changes,
    },
    ...traits,
  });
  view.frame();
}

describe("detail", () => {
  it("sums the map over blocks, says so, and says what a block is worth", () => {
    drawMap({}, { detail: 4 });
    expect(inputOf("Detail").getAttribute("aria-valuetext")).toBe("sum of 4 px");
    expect(find(".as-notes").textContent).toContain("summed over 4 px");
    const ticks = [...find(".as-ticks").children].map((tick) => tick.textContent);
    expect(ticks).toEqual(["−8.00 against", "contribution to the score of cat", "8.00 for"]);
  });

  it("is moved on the page alone, and known in Python", () => {
    drawMap();
    expect(inputOf("Detail").getAttribute("aria-valuetext")).toBe("pixels");
    slide("Detail", 0);
    view.frame();
    expect(view.model.saves).toEqual([{ detail: 4 }]);
    expect(view.model.sent).toEqual([]);
    expect(inputOf("Detail").getAttribute("aria-valuetext")).toBe("sum of 4 px");
  });

  it("is off, with the reason, where numbers cannot be added up", () => {
    drawMap({ summable: false }, { detail: 4 });
    expect(inputOf("Detail").disabled).toBe(true);
    expect(find(".as-sliders .as-field").title).toContain("cannot be added up");
    expect(find(".as-notes").textContent).not.toContain("summed");
  });
});

describe("the sentence under the map", () => {
  const words = (): string => find(".as-finding").textContent;

  it("says which ninth speaks for the class and which against it, with the numbers", () => {
    drawMap({}, { detail: 4 });
    expect(words()).toBe(
      "The top left speaks most for cat: +8.00; the bottom right against it: −2.00; all together 6.00.",
    );
  });

  it("calls a part one of the whole only where it is", () => {
    drawMap({ sum: 8.5 });
    expect(words()).toContain("for cat: +8.00 of 8.50; the bottom right against it: −2.00.");
    view.end();
    drawMap({ sum: -7.89 });
    expect(words()).toContain("for cat: +8.00; the bottom right against it: −2.00; all together −7.89.");
  });

  it("is in the words for those who listen, by the same ninths", () => {
    vi.useFakeTimers();
    drawMap();
    vi.advanceTimersByTime(300);
    vi.useRealTimers();
    const unseen = find("canvas[role=img]").getAttribute("aria-describedby")!;
    expect(document.getElementById(unseen)!.textContent).toContain(
      "speaks most for the output is the top left (sum +8.00); most against it the bottom right (sum −2.00)",
    );
  });

  it("says against which class", () => {
    const { heat } = sampleTraits();
    drawMap({ request: { ...heat!.request, contrast: 2 } }, { contrast: 2 });
    expect(words()).toContain("for cat rather than dog:");
  });

  it("says only where a map lies that is no contribution", () => {
    drawMap({ quantity: "gradient" });
    expect(words()).toBe("80.0% of the map lies at the top left of the picture.");
  });

  it("says of which neuron", () => {
    const { heat } = sampleTraits();
    const request = {
      ...heat!.request,
      layer: "stem",
      neuron: 2,
      neuron_method: "NeuronIntegratedGradients",
    };
    const unit = "contribution to the activation of channel 2 of stem";
    drawMap(
      { request, unit },
      { layer: "stem", neuron: 2, neuron_method: "NeuronIntegratedGradients", neuron_methods: [] },
    );
    expect(words()).toContain("speaks most for the activation of channel 2 of stem:");
  });

  it("is not there for what is out of date", () => {
    drawMap({}, { target: 2 });
    expect(words()).toBe("");
  });
});

describe("a bad estimate", () => {
  const of = (changes: Partial<Heat>): string =>
    doubt({
      preview: false,
      final: true,
      sum: 6,
      gap: 0,
      pixels: 1,
      compares: true,
      values,
      ...changes,
    } as Heat);

  it("is one that misses more than a tenth of the change, or errs by more than a quarter of the map", () => {
    expect(of({})).toBe("");
    expect(of({ gap: -0.6 })).toBe("");
    expect(of({ gap: -2 })).toBe("This estimate misses 25.0% of the change: it adds up to 6.00 of 8.00.");
    expect(of({ gap: 2 })).toBe("This estimate adds up to 6.00, but the output changes by 4.00.");
    expect(of({ gap: 2, compares: false })).toBe("This estimate adds up to 6.00, but the output is 4.00.");
    expect(of({ gap: 6 })).toBe("This estimate adds up to 6.00, but the output changes by 0.");
    expect(of({ gap: 9 })).toBe("This estimate adds up to 6.00, but the output changes by −3.00.");
    expect(of({ sum: 2e-7, gap: 1e-7 })).toBe(""); // rounding, where nothing changes
    expect(of({ gap: undefined, relativeError: 0.2 })).toBe("");
    expect(of({ gap: undefined, relativeError: 0.3 })).toBe(
      "This estimate is uncertain by 30.0% of the map.",
    );
    expect(of({ gap: -2, final: false })).toBe("");
    expect(of({ gap: -2, preview: true })).toBe("");
  });

  it("turns the sentence amber, for the map says nothing then", () => {
    const words = find.bind(undefined, ".as-finding");
    drawMap({ gap: -3 });
    expect(words().dataset.doubt).toBe("1");
    expect(words().textContent).toBe("This estimate misses 33.3% of the change: it adds up to 6.00 of 9.00.");
    view.model.receive({ heat: { ...view.model.values.heat, gap: 0 } });
    view.frame();
    expect(words().dataset.doubt).toBeUndefined();
    expect(words().textContent).toContain("speaks most for cat");
  });
});
