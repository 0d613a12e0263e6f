/** Picking layers, wherever that is done. */
import { signed } from "../lib/format";
import { memo } from "../lib/memo";
import type { State } from "../state/state";
import type { LayerInfo } from "../state/traits";
import { currentDepth, currentHeat } from "./displayed";

/** Whether it can be picked; kernels that do not say so offer what has a map. */
export const isPickable = (layer: LayerInfo): boolean => layer.pickable ?? layer.spatial;

const namesOfMaps = memo((rows: readonly LayerInfo[]): readonly string[] =>
  rows.filter((layer) => isPickable(layer) && layer.spatial).map(({ name }) => name),
);

/** The layers that have a map, in the order of the tree: what one scrubs through. */
export function mappedLayers(state: State): readonly string[] {
  const rows = state.get("layers");
  return rows ? namesOfMaps(rows) : [...(currentDepth(state)?.maps.keys() ?? [])];
}

/** Whether the page can show a layer (or the input, null) without asking the kernel. */
function isHere(state: State, name: string | null): boolean {
  if (name !== null) return currentDepth(state)?.maps.has(name) ?? false;
  // Back to the input, where nobody can be asked: the kernel's last map may be the one.
  return !state.reachable && currentHeat(state)?.request.layer === null;
}

export const canPick = (state: State, name: string | null): boolean => state.reachable || isHere(state, name);

/** Picks a layer, or with null the input; none of its neurons, and not half way: a layer's map stands at the input. */
export function pickLayer(state: State, name: string | null): void {
  if (!canPick(state, name)) return;
  if (isHere(state, name)) {
    state.scrub("layer", name);
    state.scrub("neuron", null);
    if (state.get("alpha") !== 1) state.scrub("alpha", 1);
  } else {
    state.choose("layer", name);
    state.choose("neuron", null);
    state.set("alpha", 1);
  }
}

/** Which of the layers with a map is picked, from 1; 0 at the input. A layer without one counts as the last before it. */
export function depthPlace(state: State): number {
  const picked = state.get("layer");
  if (typeof picked !== "string") return 0;
  const names = mappedLayers(state);
  const place = names.indexOf(picked);
  if (place >= 0) return place + 1;
  const rows = state.get("layers") ?? [];
  const at = rows.findIndex(({ name }) => name === picked);
  return rows.slice(0, at).filter((layer) => isPickable(layer) && layer.spatial).length;
}

/** Picks by place among the layers with a map: 0 is the input. */
export function pickPlace(state: State, place: number): void {
  const names = mappedLayers(state);
  const to = Math.min(names.length, Math.max(0, place));
  pickLayer(state, to === 0 ? null : names[to - 1]!);
}

const STEPS: Readonly<Record<string, number>> = { "[": -1, "]": 1 };

/** Goes one layer back or forth, if the key says so. */
export function stepByKey(state: State, event: KeyboardEvent): boolean {
  const by = Object.hasOwn(STEPS, event.key) ? STEPS[event.key]! : 0;
  // On many keyboards the brackets are typed with Alt, and AltGr counts as Control with Alt.
  if (!by || event.metaKey || (event.ctrlKey && !event.altKey)) return false;
  event.preventDefault();
  const place = depthPlace(state);
  const picked = state.get("layer");
  const between = typeof picked === "string" && mappedLayers(state)[place - 1] !== picked;
  pickPlace(state, between && by < 0 ? place : place + by);
  return true;
}

/** Where in the depth the picked layer stands, for those who listen: "blocks.3, 12 of 49, sum +3.2". */
export function depthText(state: State): string {
  const layer = state.get("layer");
  const names = mappedLayers(state);
  if (typeof layer !== "string") return `Input, before ${names.length} layers`;
  const place = depthPlace(state);
  const name = layer || "the model";
  if (names[place - 1] !== layer) return `${name}, no map`;
  const sum = currentDepth(state)?.maps.get(layer)?.sum;
  return `${name}, ${place} of ${names.length}${sum === undefined ? "" : `, sum ${signed(sum)}`}`;
}
