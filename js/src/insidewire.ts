/** What is inside a layer, from the wire: its channels, the picked neuron, and what changes with some switched off. */
import { answers } from "./shown";
import type { State } from "./state";
import type {
  Ablated,
  Binary,
  ChangedPrediction,
  LayerForm,
  Neuron,
  NeuronClass,
  RawChannels,
  RawNeuronInfo,
  RawWhatIf,
  Request,
} from "./traits";
import { bytes, fits, floats, memo, size } from "./wire";

/** What can be seen of a channel: its values, or gradient x activation. */
export type Quantity = "activation" | "contribution";

/** One quantity of all channels. */
export interface Amounts {
  /** One number for each channel. */
  readonly totals: Float32Array;
  /** count*h*w signed codes; value = scale of the channel * code / 127. A channel with NaN has NaN for a scale. */
  readonly codes: Int8Array;
  readonly scales: Float32Array;
}

export interface Channels extends Readonly<Record<Quantity, Amounts>> {
  readonly form: LayerForm;
  readonly noun: string;
  readonly count: number;
  /** Of one channel as the layer gives it. */
  readonly rows: number;
  readonly columns: number;
  /** Of one channel as it was sent. */
  readonly w: number;
  readonly h: number;
  /** One for each column, or none. */
  readonly positions: readonly string[];
  /** 0: there are none. */
  readonly heads: number;
  /** Whether contributions are known: not of a model without gradients, where they are NaN. */
  readonly hasContributions: boolean;
  readonly request: Request;
}

export interface NeuronInfo {
  readonly title: string;
  readonly activation: number | undefined;
  readonly atBaseline: number | undefined;
  readonly classes: readonly NeuronClass[];
  readonly doc: string;
  readonly request: Request;
}

export interface WhatIf {
  readonly isScore: boolean;
  readonly items: readonly ChangedPrediction[];
  readonly message: string;
}

const FORMS: readonly LayerForm[] = ["map", "attention", "tokens", "sequence", "vector", "other"];

function amounts(
  totals: Binary | undefined,
  codes: Binary | undefined,
  scales: Binary | undefined,
  count: number,
  room: number,
): Amounts | undefined {
  if (!totals || !codes || !scales) return undefined;
  const raw = bytes(codes);
  const found = {
    totals: floats(totals),
    codes: new Int8Array(raw.buffer, raw.byteOffset, raw.byteLength),
    scales: floats(scales),
  };
  const fit =
    fits("the channels' numbers", found.totals.length, count) &&
    fits("the channels' scales", found.scales.length, count) &&
    fits("what came as the channels", raw.length, count * room);
  return fit ? found : undefined;
}

const unknown = (count: number, room: number): Amounts => ({
  totals: new Float32Array(count).fill(NaN),
  codes: new Int8Array(count * room),
  scales: new Float32Array(count).fill(NaN),
});

export const channels = memo((raw: RawChannels): Channels | undefined => {
  const { count, heads = 0, positions } = raw;
  const native = size(raw.size);
  const sent = size(raw.shape);
  if (!native || !sent || count === undefined || !Number.isInteger(count) || count < 1) return undefined;
  const room = sent.w * sent.h;
  const activation = amounts(raw.activations, raw.thumbs, raw.scales, count, room);
  const hasContributions = raw.contributions !== undefined;
  const contribution =
    activation &&
    (hasContributions
      ? amounts(raw.contributions, raw.parts, raw.part_scales, count, room)
      : unknown(count, room));
  if (!contribution) return undefined;
  return {
    activation,
    contribution,
    count,
    ...sent,
    form: FORMS.find((form) => form === raw.form) ?? "other",
    noun: raw.noun ?? "channel",
    rows: native.h,
    columns: native.w,
    positions: Array.isArray(positions) && positions.length === native.w ? positions : [],
    heads: Number.isInteger(heads) && heads > 1 && count % heads === 0 ? heads : 0,
    hasContributions,
    request: raw.request ?? {},
  };
});

export const neuronInfo = memo((raw: RawNeuronInfo): NeuronInfo | undefined => {
  const { title, classes = [] } = raw;
  if (typeof title !== "string" || !Array.isArray(classes)) return undefined;
  return {
    title,
    activation: raw.activation ?? undefined,
    atBaseline: raw.at_baseline ?? undefined,
    classes,
    doc: raw.doc ?? "",
    request: raw.request ?? {},
  };
});

export const whatIf = memo((raw: RawWhatIf): WhatIf | undefined => {
  const { items, message = "" } = raw;
  if (!raw.request || (!Array.isArray(items) && !message)) return undefined;
  return { isScore: raw.kind === "score", items: Array.isArray(items) ? items : [], message };
});

/** The values of all channels, one channel after the other. */
export const valuesOf: (of: Amounts) => Float32Array = memo(({ codes, scales }) => {
  const values = new Float32Array(codes.length);
  const size = codes.length / scales.length;
  for (let channel = 0, i = 0; channel < scales.length; channel++) {
    const step = scales[channel]! / 127;
    for (const end = i + size; i < end; i++) values[i] = step * codes[i]!;
  }
  return values;
});

/** Whether any value lies below zero: without, a scale need only run upwards. */
export const isSigned: (of: Amounts) => boolean = memo((of) => valuesOf(of).some((value) => value < 0));

/** A neuron as text that is the same for the same neuron, however it is written. */
export function neuronKey(neuron: Neuron | null | undefined): string {
  if (neuron === null || neuron === undefined) return "";
  return JSON.stringify(typeof neuron === "number" ? [neuron] : neuron);
}

/** The channel that a neuron is or lies in. */
export function channelOf(neuron: Neuron | null | undefined): number | undefined {
  return typeof neuron === "number" ? neuron : neuron?.[0];
}

/** Where in its channel a neuron lies: row and column, or the position in a row of them; undefined for all of it. */
export function placeOf(neuron: Neuron | null | undefined): readonly number[] | undefined {
  return typeof neuron === "object" && neuron && neuron.length > 1 ? neuron.slice(1) : undefined;
}

const NOTHING = {};
const OF_LAYER = ["target", "contrast", "example", "layer"] as const;

export const currentChannels = (state: State): Channels | undefined =>
  channels(state.get("channels") ?? NOTHING);

export const channelsAreStale = (state: State, { request }: Channels): boolean =>
  !answers(state, request, OF_LAYER);

/** Whether they are the channels of the picked layer: a neuron of another must not be picked by its number here. */
export const areOfLayer = (state: State, { request }: Channels): boolean =>
  answers(state, request, ["layer"]);

/** What is known about the picked neuron, as long as it is about that one. */
export function currentNeuronInfo(state: State): NeuronInfo | undefined {
  const info = neuronInfo(state.get("neuron_info") ?? NOTHING);
  if (!info || neuronKey(info.request.neuron) !== neuronKey(state.get("neuron"))) return undefined;
  return answers(state, info.request, OF_LAYER) ? info : undefined;
}

/** What is switched off, in an order of its own: the order makes no difference to the model. */
function ablatedKey(ablated: readonly Ablated[]): string {
  return JSON.stringify(ablated.map(([layer, neuron]) => [layer, neuronKey(neuron)].join("\n")).sort());
}

export const ablatedOf = (state: State): readonly Ablated[] => state.get("ablated") ?? [];

/** The predictions with what is switched off now, once they are there. */
export function currentWhatIf(state: State): WhatIf | undefined {
  const ablated = ablatedOf(state);
  const raw = state.get("what_if") ?? NOTHING;
  const { request } = raw as RawWhatIf;
  if (!ablated.length || !request) return undefined;
  const { example = state.get("example"), ablate_to = state.get("ablate_to") } = request;
  if (example !== state.get("example") || ablate_to !== state.get("ablate_to")) return undefined;
  return ablatedKey(request.ablated ?? []) === ablatedKey(ablated) ? whatIf(raw) : undefined;
}
