/** Layers with something inside, for the tests of the grid, the neuron and what is switched off. */
import { vi } from "vitest";
import type { RawChannels, RawNeuronInfo, RawPatches, RawWhatIf } from "../../src/state/messages.generated";
import type { Traits } from "../../src/state/traits.generated";
import { onWire } from "./fake";

export interface Given {
  readonly layer?: string;
  readonly layout?: RawChannels["layout"];
  readonly noun?: string;
  /** As the layer gives one channel, and as it is sent. */
  readonly size?: readonly [number, number];
  readonly shape?: readonly [number, number];
  readonly activations: readonly number[];
  readonly contributions: readonly number[];
  readonly positions?: readonly string[];
  readonly heads?: number;
}

/** Channels whose values rise from zero to their own scale; the scale is the channel's number, NaN stays NaN. */
export function channelsOf({
  layer = "stem",
  layout = "map",
  noun = "channel",
  size = [4, 4],
  shape = [2, 2],
  activations,
  contributions,
  positions,
  heads,
}: Given): RawChannels {
  const room = shape[0] * shape[1];
  const count = activations.length;
  const codes = Int8Array.from({ length: count * room }, (_, i) =>
    room === 1 ? 127 : Math.round(((i % room) / (room - 1)) * 127),
  );
  const parts = codes.map((code, i) => (contributions[Math.floor(i / room)]! < 0 ? -code : code));
  const sizes = (values: readonly number[]): Float32Array => Float32Array.from(values, Math.abs);
  return {
    request: { target: 7, contrast: null, example: 0, layer },
    layout,
    noun,
    count,
    size,
    shape,
    activations: onWire(Float32Array.from(activations)),
    contributions: onWire(Float32Array.from(contributions)),
    thumbs: onWire(codes),
    scales: onWire(sizes(activations)),
    parts: onWire(parts),
    part_scales: onWire(sizes(contributions)),
    ...(positions && { positions }),
    ...(heads && { heads }),
  };
}

/** Six channels of a convolution: strong and weak, for and against. */
export const SIX = channelsOf({
  activations: [1, 0.5, 2, 0, 3, 1.31],
  contributions: [0.1, -2, 0.5, 0, 1.5, 0.82],
});

/** Four units of two heads, at three tokens. */
export const TOKENS = channelsOf({
  layer: "mlp",
  layout: "tokens",
  noun: "unit",
  size: [1, 3],
  shape: [1, 3],
  positions: ["the", "<b>cat</b>", "sat"],
  heads: 2,
  activations: [1, 2, 3, 4],
  contributions: [1, 2, 3, 4],
});
/** Three single numbers. */
export const VECTOR = channelsOf({
  layer: "fc",
  layout: "vector",
  noun: "unit",
  size: [1, 1],
  shape: [1, 1],
  activations: [1, -2, NaN],
  contributions: [1, 2, NaN],
});

/** An Explorer with a layer picked. */
export function withLayer(channels: RawChannels, changes: Partial<Traits> = {}): Partial<Traits> {
  return {
    layer: channels.request?.layer ?? null,
    layer_method: "LayerGradCam",
    layer_methods: [],
    neuron: null,
    neuron_method: "NeuronGradient",
    neuron_methods: [
      { name: "NeuronGradient", label: "Gradient", doc: "Which pixels move the neuron." },
      { name: "NeuronIntegratedGradients", label: "Integrated gradients", doc: "Integrates." },
    ],
    ablated: [],
    ablate_to: "zero",
    layer_relevance: {},
    layer_maps: {},
    neuron_info: {},
    what_if: {},
    pinned: [],
    beside: [],
    compare_as: "side",
    channels,
    ...changes,
  };
}

export function infoOf(neuron: number | number[], changes: Partial<RawNeuronInfo> = {}): RawNeuronInfo {
  return {
    request: { target: 7, contrast: null, example: 0, layer: "stem", neuron },
    title: `Channel ${[neuron].flat().join(", ")} of stem`,
    activation: 1.31,
    at_baseline: 0.2,
    classes: [
      { index: 7, label: "cat", contribution: 0.82 },
      { index: 2, label: "dog", contribution: -0.41 },
      { index: 9, label: "hat", contribution: null },
    ],
    doc: "Contributions are gradient × activation.",
    ...changes,
  };
}

/** The sample predictions, as they are with some neurons switched off. */
export function whatIfOf(ablated: Traits["ablated"], changes: Partial<RawWhatIf> = {}): RawWhatIf {
  return {
    request: { example: 0, ablated, ablate_to: "zero" },
    kind: "probability",
    items: [
      { index: 7, label: "cat", before: 0.7, after: 0.124, before_score: 3, after_score: 1 },
      { index: 2, label: "dog", before: 0.2, after: 0.6, before_score: 1, after_score: 2 },
      { index: 9, label: "hat", before: 0.0001, after: 0.0001, before_score: 0, after_score: 0 },
      { index: 4, label: "fox", before: 0.0002, after: 0.2, before_score: 0, after_score: 1.5 },
    ],
    ...changes,
  };
}

/** Takes the sizes of elements into the hand: the returned function gives all watched boxes one. */
export function manualSizes(): (width: number, height: number) => void {
  const callbacks = new Set<ResizeObserverCallback>();
  vi.stubGlobal(
    "ResizeObserver",
    class {
      constructor(private readonly callback: ResizeObserverCallback) {}
      observe(): void {
        callbacks.add(this.callback);
      }
      disconnect(): void {
        callbacks.delete(this.callback);
      }
    },
  );
  return (width, height) => {
    const entry = { contentRect: { width, height } } as ResizeObserverEntry;
    for (const callback of callbacks) callback([entry], {} as ResizeObserver);
  };
}

/** Patches of 2 by 2 pixels for some channels of a layer, as many of each as are given values. */
export function patchesOf(
  values: Readonly<Record<number, readonly number[]>>,
  changes: Partial<RawPatches> = {},
): RawPatches {
  const channels = Object.keys(values).map(Number);
  const count = Object.values(values).reduce((sum, { length }) => sum + length, 0);
  return {
    request: { layer: "stem" },
    channels,
    patches: channels.map((channel) =>
      values[channel]!.map((value, i) => ({ example: i, place: [i, 2] as const, value })),
    ),
    shape: [2, 2],
    data: onWire(Uint8Array.from({ length: count * 12 }, (_, i) => i % 251)),
    examples: 5,
    ...changes,
  };
}
