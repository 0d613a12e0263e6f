import { describe, expect, it, vi } from "vitest";
import { type Displayed, displayed } from "../../src/selection/displayed";
import { markOf } from "../../src/selection/freshness";
import type { RawHeat } from "../../src/state/messages.generated";
import { State } from "../../src/state/state";
import type { Traits } from "../../src/state/traits.generated";
import { FakeModel, sampleTraits } from "../support/fake";
import { halves, layerTraits, sampleLayerMaps } from "../support/layer-traits";
import { tableHeat, tableRequest, tableTraits } from "../support/table-traits";

function stateOf(changes: Partial<Traits> = {}): State {
  return new State(new FakeModel(sampleTraits(changes)), new AbortController().signal);
}
const shownFor = (changes: Partial<Traits>): Displayed => displayed(stateOf(changes).view);

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

describe("a row of a table", () => {
  const shown = (changes: Partial<Traits>): Displayed =>
    displayed(new State(new FakeModel(tableTraits(changes)), new AbortController().signal).view);

  it("is a map of one line whose columns are never summed up, on the way neither", () => {
    for (const alpha of [1, 0.5]) {
      const { field } = shown({ detail: 2, alpha });
      expect([field!.w, field!.h, field!.side]).toEqual([5, 1, 1]);
      expect(field!.whole).toBeUndefined();
    }
  });

  it("is a row where it has no map", () => {
    expect(shown({ heat: {} })).toMatchObject({ kind: "picture", title: "Row" });
    expect(shown({ path: {}, alpha: 0.5 })).toMatchObject({ kind: "picture", title: "Row at α = 0.50" });
  });

  it("is out of date with other edits, but not with the same in another order", () => {
    expect(shown({ edited: [[0, 1]] }).stale).toBe(true);
    const edits = [
      [0, 1],
      [2, 5],
    ] as const;
    const heat = tableHeat({ request: { ...tableRequest, edited: [...edits].reverse() } });
    expect(shown({ edited: edits, heat }).stale).toBe(false);
  });
});

describe("stale maps", () => {
  it.each([
    ["method", { method: "Saliency" }],
    ["target", { target: 2 }],
    ["baseline", { baseline: "blur" }],
    ["layer", { layer: "stem" }],
    ["layer with the empty name", { layer: "", layers: [] }],
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
    expect(displayed(state.view).stale).toBe(false);
  });

  it("are marked by what goes on", () => {
    expect(markOf(stateOf({ status: "running" }).view, true)).toBe("updating");
    expect(markOf(stateOf({ status: "idle" }).view, true)).toBe("updating");
    expect(markOf(stateOf({ status: "cancelled" }).view, true)).toBe("out of date");
    expect(markOf(stateOf({ status: "error" }).view, true)).toBe("out of date");
    const rough = (changes: Partial<RawHeat>): Displayed["heat"] =>
      shownFor({ heat: { ...sampleTraits().heat, ...changes } }).heat;
    expect(markOf(stateOf({ status: "running" }).view, false, rough({ final: false }))).toBe("refining");
    expect(markOf(stateOf({ status: "cancelled" }).view, false, rough({ final: false }))).toBe("unfinished");
    expect(markOf(stateOf({ status: "running" }).view, false, rough({ preview: true }))).toBe("preview");
    expect(markOf(stateOf({ status: "running" }).view, true, rough({ preview: true }))).toBe("updating");
    expect(markOf(stateOf({ status: "running", _live: false }).view, true)).toBe("out of date");
    expect(markOf(stateOf({ status: "running" }).view, false)).toBeUndefined();
  });
});

describe("at a layer", () => {
  const request = {
    method: "IntegratedGradients",
    target: 7,
    baseline: "zero",
    layer: "stem",
    contrast: null,
    example: 0,
    settings: {},
    layer_method: "LayerGradCam",
    neuron: null,
    neuron_method: "NeuronGradient",
  };
  const at = (changes: Partial<Traits>, asked: object = {}): Displayed =>
    shownFor(
      layerTraits({
        layer_maps: {},
        layer: "stem",
        heat: { ...sampleTraits().heat, request: { ...request, ...asked } },
        ...changes,
      }),
    );

  it.each<[string, Partial<Traits>, boolean]>([
    ["nothing differs", {}, false],
    ["the input's method differs", { method: "Saliency" }, false],
    ["the neuron's method differs", { neuron_method: "NeuronDeepLift" }, false],
    ["the layer's method differs", { layer_method: "LayerActivation" }, true],
    ["a neuron was picked", { neuron: 3 }, true],
    ["the layer's settings differ", { settings: { LayerGradCam: { relu: true } } }, true],
    [
      "the settings of the input's method differ",
      { settings: { IntegratedGradients: { n_steps: 5 } } },
      false,
    ],
    ["one left it for the input", { layer: null }, true],
    ["the example differs", { example: 1 }, true],
  ])("the map is stale or not when %s", (_, changes, stale) => {
    expect(at(changes).stale).toBe(stale);
  });

  it.each<[string, Partial<Traits>, boolean]>([
    ["nothing differs", {}, false],
    ["the neuron is written as a list", { neuron: [3] }, false],
    ["a position in it was picked", { neuron: [3, 0, 1] }, true],
    ["the neuron was left", { neuron: null }, true],
    ["the layer's method differs", { layer_method: "LayerActivation" }, false],
    ["the neuron's method differs", { neuron_method: "NeuronDeepLift" }, true],
    ["the neuron's settings differ", { settings: { NeuronGradient: { abs: true } } }, true],
    ["the layer's settings differ", { settings: { LayerGradCam: { relu: true } } }, false],
  ])("a neuron's map is stale or not when %s", (_, changes, stale) => {
    expect(at({ neuron: 3, ...changes }, { neuron: 3 }).stale).toBe(stale);
  });

  it("the input's map does not mind what is chosen for layers and neurons", () => {
    const changes = { layer: null, layer_method: "LayerActivation", neuron_method: "NeuronDeepLift" };
    expect(at(changes, { layer: null }).stale).toBe(false);
    expect(at({ ...changes, neuron: 3 }, { layer: null }).stale).toBe(false); // a neuron of no layer
    expect(at({ ...changes, method: "Saliency" }, { layer: null }).stale).toBe(true);
  });

  it("the path minds none of it", () => {
    expect(at({ alpha: 0.5, neuron: 3, layer_method: "x", neuron_method: "y" }).stale).toBe(false);
  });

  it("without a map there is the picture, at once, whatever came before", () => {
    const shown = at({ layer: "fc" });
    expect(shown).toMatchObject({ kind: "picture", title: "Picture", stale: false });
    expect(shown.without?.name).toBe("fc");
    expect(at({ layer: "fc", neuron: 3 }, { layer: "fc", neuron: 3 })).toMatchObject({
      kind: "heat",
      stale: false,
    });
    expect(at({ layer: "fc", neuron: 3, heat: {} }).without).toBeUndefined(); // its map is on the way
  });
});

describe("scrubbing through the layers", () => {
  const at = (changes: Partial<Traits>): Displayed =>
    shownFor(layerTraits({ layer: "stem.conv", ...changes }));
  const title = "Grad-CAM at stem.conv for cat";

  it("shows the layer's map while the kernel's is not there, as no stale one", () => {
    const shown = at({});
    expect(shown).toMatchObject({ kind: "heat", title, stale: false });
    expect([...shown.field!.reference]).toEqual([-1, -0.5, 0, 0.25, 0.5, 1]);
    expect(at({ layer: "stem.act" }).heat!.sum).toBe(-3.2);
    expect(at({ heat: {} })).toMatchObject({ title, stale: false });
  });

  it("shows the kernel's own map when it is there, unless that is a draft", () => {
    const own = (changes: Partial<RawHeat>): RawHeat => ({
      ...sampleTraits().heat,
      title: "own",
      request: { layer: "stem.conv", layer_method: "LayerGradCam", target: 7 },
      ...changes,
    });
    expect(at({ heat: own({}) }).title).toBe("own");
    expect(at({ heat: own({ final: false }) }).title).toBe(title);
    expect(at({ heat: own({ preview: true }) }).title).toBe(title);
    expect(at({ heat: own({ final: false }), layer_maps: sampleLayerMaps({ final: false }) }).title).toBe(
      "own",
    );
  });

  it.each<[string, Partial<Traits>]>([
    ["another target", { target: 2 }],
    ["another example", { example: 1 }],
    ["another layer method", { layer_method: "LayerActivation" }],
    ["other settings of it", { settings: { LayerGradCam: { relu: true } } }],
    ["a picked neuron", { neuron: 3 }],
    ["a layer that they do not hold", { layer: "stem.other" }],
  ])("never shows them for %s", (_, changes) => {
    expect(at(changes)).toMatchObject({ stale: true, title: "Integrated Gradients for cat" });
  });

  it("minds the baseline only of a method that compares with one", () => {
    expect(at({ baseline: "blur" }).stale).toBe(false);
    const request = { ...sampleLayerMaps().request, baseline: "zero" };
    expect(at({ baseline: "blur", layer_maps: sampleLayerMaps({ request }) }).stale).toBe(true);
  });

  it("shows nothing of what is malformed", () => {
    vi.spyOn(console, "warn").mockImplementation(() => undefined);
    expect(at({ layer_maps: sampleLayerMaps({ maps: halves(1) }) }).title).toBe(
      "Integrated Gradients for cat",
    );
  });
});
