/** What is inside a layer, from the wire: its channels, the picked neuron, and what changes with some switched off. */
import { type Binary, bytes, floats } from "../lib/binary";
import { memo } from "../lib/memo";
import type {
  ChangedPrediction,
  LayoutKind,
  NeuronClass,
  RawChannels,
  RawNeuronInfo,
  RawWhatIf,
  Request,
} from "../state/messages.generated";
import { fits, size } from "./messages";

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
  readonly layout: LayoutKind;
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

/** What is predicted for a class with and without some neurons; NaN where the model gives no number. */
export interface Change {
  readonly index: number;
  readonly label: string;
  readonly before: number;
  readonly after: number;
  readonly afterScore: number;
}

export interface WhatIf {
  readonly isScore: boolean;
  readonly items: readonly Change[];
  readonly message: string;
}

const LAYOUTS: readonly LayoutKind[] = ["map", "attention", "tokens", "sequence", "vector", "other"];

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
    layout: LAYOUTS.find((layout) => layout === raw.layout) ?? "other",
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

const changeOf = ({ index, label, before, after, after_score: score }: ChangedPrediction): Change => ({
  index,
  label,
  before: before ?? NaN,
  after: after ?? NaN,
  afterScore: score ?? NaN,
});

export const whatIf = memo((raw: RawWhatIf): WhatIf | undefined => {
  const { items, message = "" } = raw;
  if (!raw.request || (!Array.isArray(items) && !message)) return undefined;
  return { isScore: raw.kind === "score", items: Array.isArray(items) ? items.map(changeOf) : [], message };
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
