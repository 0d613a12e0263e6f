/** Picking neurons of the picked layer, and switching them off and on. */
import { isOff, neuronKey } from "../data/neurons";
import { State } from "../state/state";
import type { Ablated, Neuron } from "../state/traits";
import { ablatedOf } from "./channels";

/** What the channels of a layer are called. */
export function nounOf(state: State, layer: string): string {
  const { request, noun } = state.get("channels") ?? {};
  if (noun && request?.layer === layer) return noun;
  const form = state.get("layers")?.find(({ name }) => name === layer)?.form;
  return form === "attention" ? "head" : form === "map" || !form ? "channel" : "unit";
}

/** The picked layer; a grid that stands alone may only know whose channels it holds. */
export function layerOf(state: State): string | undefined {
  const layer = state.get("layer");
  return (layer === undefined ? state.get("channels")?.request?.layer : layer) ?? undefined;
}

/** Switches neurons of the model off for the predictions: the kernel answers with `what_if`. */
export function setAblated(state: State, ablated: readonly Ablated[]): void {
  state.choose("ablated", ablated);
  if (state.reachable) state.set("alpha", 1); // what changes are the predictions at the end of the path
}

/** Switches a neuron of the picked layer off, or on again. */
export function toggleOff(state: State, neuron: Neuron): void {
  const layer = layerOf(state);
  if (layer === undefined) return;
  const ablated = ablatedOf(state);
  const key = neuronKey(neuron);
  setAblated(
    state,
    isOff(ablated, layer, neuron)
      ? ablated.filter(([name, one]) => name !== layer || neuronKey(one) !== key)
      : [...ablated, [layer, neuron]],
  );
}

/** Picks a neuron of the picked layer: a channel, a place in one, or null for none. */
export function pickNeuron(state: State, neuron: Neuron | null): void {
  state.choose("neuron", neuron);
  if (state.reachable) state.set("alpha", 1); // its map stands at the end of the path
}
