/** After an error nothing on the page looks as if more were to come. */
import { describe, expect, it, vi } from "vitest";
import type { Traits } from "../src/state/traits.generated";
import { sampleTraits } from "./support/fake";
import { SIX, withLayer } from "./support/inside-traits";
import { layerTraits } from "./support/layer-traits";
import { all, draw, useViews, view } from "./support/view";

useViews();

const FAILED: Partial<Traits> = { status: "error", message: "it broke", progress: 0.4 };
const heat = sampleTraits().heat;
const CASES: Record<string, Partial<Traits>> = {
  "nothing was ready": { heat: {}, path: {}, predictions: {}, layer_relevance: {}, layer_maps: {} },
  "a preview was on show": { heat: { ...heat, preview: true } },
  "a map was on its way": { heat: { ...heat, final: false } },
  "another class was chosen": { target: 2 },
  "another method was chosen": { method: "Saliency" },
  "another baseline was chosen": { baseline: "blur", alpha: 0.5 },
  "no path was known": { path: {}, alpha: 0.5 },
  "the path was of another class": { target: 2, alpha: 0.5 },
  "a layer was picked": { ...layerTraits(), layer: "stem", heat: {}, channels: {} },
  "a neuron was picked": { ...withLayer(SIX), neuron: 2, neuron_info: {}, heat: {} },
  "neurons were switched off": { ...withLayer(SIX), ablated: [["stem", 1]], what_if: {} },
  "methods were compared": {
    comparison: {
      title: "Explanations",
      request: {},
      settings: {},
      final: false,
      outdated: false,
      metrics: [],
      methods: [],
    },
  },
};

/** What is to be seen, and what is told to those who do not see. */
function said(): string[] {
  const texts = all("*")
    .filter((one) => !one.closest("[hidden]") && !one.childElementCount)
    .flatMap((one) => [
      one.textContent,
      one.getAttribute("aria-label") ?? "",
      one.getAttribute("title") ?? "",
    ]);
  return texts.filter((text) => text.trim());
}

const MORE =
  /\b(computing|updating|refining|comparing|loading|waiting|awaiting|looking|running|still)\b|…|\.\.\.$/i;

describe("after an error", () => {
  it.each(Object.keys(CASES))("nothing is awaited where %s", (name) => {
    vi.useFakeTimers();
    draw({ ...CASES[name], ...FAILED });
    vi.advanceTimersByTime(2000);
    view.frame();
    vi.useRealTimers();
    expect(said().filter((text) => MORE.test(text))).toEqual([]);
    expect(all("[role=progressbar]").every((one) => one.hidden)).toBe(true);
    expect(all("[aria-busy=true]")).toEqual([]);
    expect(view.el.textContent).toContain("it broke");
  });

  it("the same words are there while it runs, so that this looks for the right ones", () => {
    draw({ heat: {}, status: "running", message: "", progress: 0.4 });
    expect(said().some((text) => MORE.test(text))).toBe(true);
    expect(all("[role=progressbar]").some((one) => !one.hidden)).toBe(true);
  });
});
