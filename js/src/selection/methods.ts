/** Picking a method, wherever that is done. */
import { scopeOf } from "./scope";
import type { State } from "../state/state";
import type { View } from "../state/view";

/** Whoever picks a method wants to see its map: not a layer's or a neuron's, and not one half way. */
export function pickMethod(state: State, name: string): void {
  state.choose("method", name);
  state.choose("layer", null);
  state.choose("neuron", null);
  state.set("alpha", 1);
}

/** A method that was compared; one for layers names the layer that it explains by. */
interface Compared {
  readonly name: string;
  readonly layer?: string;
}

/** Picks a method that was compared, at its layer if it is one for layers. */
export function pickCompared(state: State, { name, layer }: Compared): void {
  if (layer === undefined) {
    pickMethod(state, name);
    return;
  }
  state.choose("layer_method", name);
  state.choose("layer", layer);
  state.choose("neuron", null);
  state.set("alpha", 1);
}

/** Why the baseline does not count for the map that is chosen; undefined where it does. */
export function whyNotCompared(view: View): string | undefined {
  const scope = scopeOf(view);
  const [list, trait] = (
    {
      input: ["methods", "method"],
      layer: ["layer_methods", "layer_method"],
      neuron: ["neuron_methods", "neuron_method"],
    } as const
  )[scope];
  const method = view.get(list).find(({ name }) => name === view.get(trait));
  return method?.compares === false
    ? `${method.label} has no baseline. The path and what covering costs go by this one`
    : undefined;
}

/** Whether the map on show is that of a compared method. */
export function isShown(view: View, { name, layer }: Compared): boolean {
  if (layer === undefined) return view.get("layer") === null && view.get("method") === name;
  return view.get("layer") === layer && view.get("neuron") === null && view.get("layer_method") === name;
}
