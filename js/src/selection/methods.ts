/** Picking a method, wherever that is done. */
import type { State } from "../state/state";

/** Whoever picks a method wants to see its map: not a layer's or a neuron's, and not one half way. */
export function pickMethod(state: State, name: string): void {
  state.choose("method", name);
  state.choose("layer", null);
  state.choose("neuron", null);
  state.set("alpha", 1);
}
