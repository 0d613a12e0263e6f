import { describe, expect, it } from "vitest";
import { decideShown, markOf, type Shown } from "../src/shown";
import { State } from "../src/state";
import type { RawHeat, Traits } from "../src/traits";
import { FakeModel, sampleTraits } from "./fake";

function stateOf(changes: Partial<Traits> = {}): State {
  return new State(new FakeModel(sampleTraits(changes)), new AbortController().signal);
}
const shownFor = (changes: Partial<Traits>): Shown => decideShown(stateOf(changes));

describe("what is shown", () => {
  it("is the heat at the input", () => {
    const shown = shownFor({});
    expect(shown).toMatchObject({ kind: "heat", title: "Integrated Gradients for cat", stale: false });
    expect(shown.from).toBeUndefined();
    expect(shown.field!.valueAt(5)).toBe(1);
  });

  it("is the path on the way, on the scale of its end", () => {
    const shown = shownFor({ alpha: 0.42 });
    expect(shown).toMatchObject({
      kind: "walk",
      title: "Integrated Gradients for cat, accumulated to α = 0.42",
      stale: false,
      alpha: 0.42,
    });
    expect(shown.from).toBeDefined();
    expect([...shown.field!.reference]).toEqual([-1, 0, 0, 0, 0, 1]);
    expect(shown.field!.valueAt(5)).toBeCloseTo(0.84);
  });

  it("is the picture alone without a map, and says where it stands", () => {
    expect(shownFor({ heat: {} })).toMatchObject({ kind: "picture", title: "Picture" });
    expect(shownFor({ path: {}, alpha: 0.5 })).toMatchObject({
      kind: "picture",
      title: "Picture at α = 0.50",
    });
    expect(shownFor({ heat: {}, picture: {} })).toMatchObject({ kind: "empty" });
  });

  it("keeps alpha inside the path", () => {
    expect(shownFor({ alpha: 7 }).kind).toBe("heat");
    expect(shownFor({ alpha: -1 }).alpha).toBe(0);
  });
});

describe("stale maps", () => {
  it.each([
    ["method", { method: "Saliency" }],
    ["target", { target: 2 }],
    ["baseline", { baseline: "blur" }],
    ["layer", { layer: "stem" }],
    ["layer with the empty name", { layer: "" }],
  ] as const)("when the %s differs, with the title of what is shown", (_, change) => {
    expect(shownFor(change)).toMatchObject({ stale: true, title: "Integrated Gradients for cat" });
  });

  it("when the request names what the first slice had not: contrast, example, settings", () => {
    const request = { method: "IntegratedGradients", target: 7, contrast: null, example: 0, settings: {} };
    const heat = { ...sampleTraits().heat, request };
    const same = { heat, contrast: null, example: 0, settings: {} };
    expect(shownFor(same).stale).toBe(false);
    expect(shownFor({ ...same, contrast: 2 }).stale).toBe(true);
    expect(shownFor({ ...same, example: 1 }).stale).toBe(true);
    expect(shownFor({ ...same, settings: { IntegratedGradients: { n_steps: 5 } } }).stale).toBe(true);
  });

  it("never for the settings of another method, their order, or the order of baselines", () => {
    const settings = { IntegratedGradients: { a: 1, b: 2 }, Saliency: { abs: true } };
    const request = { settings: { b: 2, a: 1 }, baseline: ["blur", "zero"] };
    const heat = { ...sampleTraits().heat, request };
    expect(shownFor({ heat, settings, baseline: ["zero", "blur"] }).stale).toBe(false);
    expect(shownFor({ heat, settings, baseline: ["zero", "black"] }).stale).toBe(true);
    expect(shownFor({ heat, settings, baseline: "zero" }).stale).toBe(true);
    // Grad-CAM at a layer takes none of the method's settings.
    const layer = { ...sampleTraits().heat, request: { layer: "stem", settings: {} } };
    expect(shownFor({ heat: layer, layer: "stem", settings }).stale).toBe(false);
  });

  it("on the path only when target or baseline differ", () => {
    expect(shownFor({ alpha: 0.5, method: "Saliency", layer: "stem" }).stale).toBe(false);
    expect(shownFor({ alpha: 0.5, target: 2 }).stale).toBe(true);
    expect(shownFor({ alpha: 0.5, baseline: "blur" }).stale).toBe(true);
  });

  it("but not when the same target is written in another way or is not known yet", () => {
    expect(shownFor({ target: [7] }).stale).toBe(false);
    expect(shownFor({ target: [7, 1] }).stale).toBe(true);
    expect(shownFor({ target: null }).stale).toBe(false);
  });

  it("never in a part that lacks the choice", () => {
    const traits = sampleTraits();
    delete traits.method;
    delete traits.layer;
    const state = new State(new FakeModel(traits), new AbortController().signal);
    expect(decideShown(state).stale).toBe(false);
  });

  it("are marked by what goes on", () => {
    expect(markOf(stateOf({ status: "running" }), true)).toBe("updating");
    expect(markOf(stateOf({ status: "idle" }), true)).toBe("updating");
    expect(markOf(stateOf({ status: "cancelled" }), true)).toBe("out of date");
    expect(markOf(stateOf({ status: "error" }), true)).toBe("out of date");
    const rough = (changes: Partial<RawHeat>): Shown["heat"] =>
      shownFor({ heat: { ...sampleTraits().heat, ...changes } }).heat;
    expect(markOf(stateOf({ status: "running" }), false, rough({ final: false }))).toBe("refining");
    expect(markOf(stateOf({ status: "cancelled" }), false, rough({ final: false }))).toBe("unfinished");
    expect(markOf(stateOf({ status: "running" }), false, rough({ preview: true }))).toBe("preview");
    expect(markOf(stateOf({ status: "running" }), true, rough({ preview: true }))).toBe("updating");
    expect(markOf(stateOf({ status: "running", _live: false }), true)).toBe("out of date");
    expect(markOf(stateOf({ status: "running" }), false)).toBeUndefined();
  });
});
