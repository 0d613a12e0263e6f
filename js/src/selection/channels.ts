/** What is known of the inside of the picked layer, as far as it answers the present choices. */
import { type Channels, channels, type NeuronInfo, neuronInfo, type WhatIf, whatIf } from "../data/channels";
import { type Patches, patches } from "../data/patches";
import { derived } from "../lib/derived";
import type { View } from "../state/view";
import { agreesOn, isFresh } from "./freshness";

export const currentChannels = (view: View): Channels | undefined => channels(view.get("channels"));

export const channelsAreStale = (view: View, { request }: Channels): boolean =>
  !isFresh(view, "channels", request);

/** The channels of the picked layer: a neuron of another must not be picked by its number here. */
export const pickableChannels = derived((view: View): Channels | undefined => {
  const channels = currentChannels(view);
  return channels && agreesOn(view, "layer", channels.request) ? channels : undefined;
});

/** What excites the channels of the picked layer; which channels those are that contribute most, the kernel said. */
export const currentPatches = derived((view: View): Patches | undefined => {
  const found = patches(view.get("patches"));
  return found && agreesOn(view, "layer", found.request) ? found : undefined;
});

/** What was told last about a neuron, be it the picked one or another. */
export const latestNeuronInfo = (view: View): NeuronInfo | undefined => neuronInfo(view.get("neuron_info"));

/** What is known about the picked neuron, as long as it is about that one. */
export const currentNeuronInfo = derived((view: View): NeuronInfo | undefined => {
  const info = latestNeuronInfo(view);
  return info && isFresh(view, "neuron_info", info.request) ? info : undefined;
});

/** The predictions with what is switched off now, once they are there. */
export const currentWhatIf = derived((view: View): WhatIf | undefined => {
  const raw = view.get("what_if");
  if (view.get("ablated").length === 0 || !raw.request) return undefined;
  return isFresh(view, "what_if", raw.request) ? whatIf(raw) : undefined;
});
