/** What is known of the inside of the picked layer, as far as it answers the present choices. */
import { type Channels, channels, type NeuronInfo, neuronInfo, type WhatIf, whatIf } from "../data/channels";
import { neuronKey } from "../data/neurons";
import { State } from "../state/state";
import type { Ablated, RawWhatIf } from "../state/traits";
import { answers } from "./freshness";

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
