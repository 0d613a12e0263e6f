/** What the kernel tells about layers, for the sample traits: methods, how much passes, and all layers' maps. */
import type { LayerRow, RawLayerMaps } from "../../src/state/messages.generated";
import type { Traits } from "../../src/state/traits.generated";
import { onWire, sampleTraits } from "./fake";

/** Bits of float16 for numbers that are whole multiples of 2^-10 below 2. */
export function halfBits(value: number): number {
  if (value === 0) return 0;
  const exponent = Math.floor(Math.log2(Math.abs(value)));
  const fraction = Math.round((Math.abs(value) / 2 ** exponent - 1) * 1024);
  return (value < 0 ? 0x8000 : 0) | ((exponent + 15) << 10) | fraction;
}

export const halves = (...values: number[]): DataView => onWire(Uint16Array.from(values, halfBits), 1);

export const LAYERS: readonly LayerRow[] = sampleTraits().layers!.map((layer, i) => ({
  ...layer,
  pickable: layer.shape !== null,
  ...(layer.shape === null ? { why: "did not run" } : {}),
  layout: layer.shape === null ? null : layer.spatial ? "map" : "vector",
  order: layer.shape === null ? null : i,
}));

/** The maps of stem (1 by 1), stem.conv (2 by 3, the picture's size) and stem.act (1 by 2). */
export function sampleLayerMaps(changes: Partial<RawLayerMaps> = {}): RawLayerMaps {
  return {
    request: {
      target: 7,
      contrast: null,
      example: 0,
      layer_method: "LayerGradCam",
      baseline: null as never,
      settings: {},
    },
    title: ["Grad-CAM at ", " for cat"],
    final: true,
    names: ["stem", "stem.conv", "stem.act"],
    shapes: [
      [1, 1],
      [2, 3],
      [1, 2],
    ],
    scales: [2, 1, 4],
    sums: [12, null, -3.2],
    maps: halves(1, -1, -0.5, 0, 0.25, 0.5, 1, 0.5, -0.5),
    ...changes,
  };
}

export function layerTraits(changes: Partial<Traits> = {}): Partial<Traits> {
  return {
    layers: LAYERS,
    layer_method: "LayerGradCam",
    layer_methods: [
      { name: "LayerGradCam", label: "Grad-CAM", doc: "Weighs channels.", parameters: [] },
      {
        name: "LayerIntegratedGradients",
        label: "Integrated Gradients",
        parameters: [{ name: "n_steps", label: "Steps", kind: "int", value: 50 }],
      },
    ],
    neuron: null,
    neuron_method: "NeuronGradient",
    neuron_methods: [
      {
        name: "NeuronGradient",
        label: "Gradient",
        parameters: [{ name: "abs", label: "Absolute", kind: "bool", value: false }],
      },
    ],
    layer_relevance: {
      request: { target: 7, contrast: null, example: 0 },
      label: "Gradient × activation",
      doc: "How much passes.",
      values: [8.31, 4, -2, null, 8.31, null],
    },
    layer_maps: sampleLayerMaps(),
    pinned: [],
    beside: [],
    compare_as: "side",
    ...changes,
  };
}
