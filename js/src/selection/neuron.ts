/** Picking neurons of the picked layer, and switching them off and on. */
import { isOff, neuronKey } from "../data/neurons";
import type { State } from "../state/state";
import type { Ablated, Neuron } from "../state/messages.generated";
import type { View } from "../state/view";
import { layerInfo } from "./scope";

/** What the channels of a layer are called. */
export function nounOf(view: View, layer: string): string {
  const { request, noun } = view.get("channels");
  if (noun && request?.layer === layer) return noun;
  const layout = layerInfo(view, layer)?.layout;
  return layout === "attention" ? "head" : layout === "map" || !layout ? "channel" : "unit";
}

/** The picked layer; a grid that stands alone may only know whose channels it holds. */
export function layerOf(view: View): string | undefined {
  const layer = view.has("layer") ? view.get("layer") : view.get("channels").request?.layer;
  return layer ?? undefined;
}

/** What comes of it stands at the end of the path. */
function goToInput(state: State): void {
  if (state.view.reachable) state.set("alpha", 1);
}

/** Switches neurons of the model off for the predictions: the kernel answers with `what_if`. */
export function setAblated(state: State, ablated: readonly Ablated[]): void {
  state.choose("ablated", ablated);
  goToInput(state);
}

/** Switches a neuron of the picked layer off, or on again. */
export function toggleOff(state: State, neuron: Neuron): void {
  const { view } = state;
  const layer = layerOf(view);
  if (layer === undefined) return;
  const ablated = view.get("ablated");
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
  goToInput(state);
}
