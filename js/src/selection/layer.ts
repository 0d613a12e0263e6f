/** Picking layers, wherever that is done, and where the picked one stands among those that have a map. */
import { signed } from "../lib/format";
import { memo } from "../lib/memo";
import type { State } from "../state/state";
import type { LayerRow } from "../state/messages.generated";
import type { View } from "../state/view";
import { currentHeat, currentLayerMaps } from "./displayed";
import { isOfInput } from "./freshness";

/** Whether it can be picked; kernels that do not say so offer what has a map. */
export const isPickable = (layer: LayerRow): boolean => layer.pickable ?? layer.spatial;

const hasMap = (layer: LayerRow): boolean => isPickable(layer) && layer.spatial;

const namesOfMaps = memo((rows: readonly LayerRow[]): readonly string[] =>
  rows.filter(hasMap).map(({ name }) => name),
);

/** The layers that have a map, in the order of the tree: what one scrubs through. */
export function mappedLayers(view: View): readonly string[] {
  if (view.has("layers")) return namesOfMaps(view.get("layers"));
  return [...(currentLayerMaps(view)?.maps.keys() ?? [])];
}

/** Whether the page can show a layer (or the input, null) without asking the kernel. */
function isHere(view: View, name: string | null): boolean {
  if (name !== null) return currentLayerMaps(view)?.maps.has(name) ?? false;
  // Back to the input, where nobody can be asked: the kernel's last map may be the one.
  const heat = view.reachable ? undefined : currentHeat(view);
  return heat !== undefined && isOfInput(heat);
}

export const canPick = (view: View, name: string | null): boolean => view.reachable || isHere(view, name);

/** Picks a layer, or with null the input; none of its neurons, and not half way: a layer's map stands at the input. */
export function pickLayer(state: State, name: string | null): void {
  const { view } = state;
  if (!canPick(view, name)) return;
  if (isHere(view, name)) {
    state.scrub("layer", name);
    state.scrub("neuron", null);
    if (view.get("alpha") !== 1) state.scrub("alpha", 1);
  } else {
    state.choose("layer", name);
    state.choose("neuron", null);
    state.set("alpha", 1);
  }
}

/** Which of the layers with a map is picked, from 1; 0 at the input. A layer without one counts as the last before it. */
export function layerNumber(view: View): number {
  const picked = view.get("layer");
  if (picked === null) return 0;
  const index = mappedLayers(view).indexOf(picked);
  if (index >= 0) return index + 1;
  const rows = view.get("layers");
  const row = rows.findIndex(({ name }) => name === picked);
  return rows.slice(0, row).filter(hasMap).length;
}

/** The layer of a number; null for 0, which is the input. */
export function numberedLayer(view: View, number: number): string | null {
  const names = mappedLayers(view);
  const to = Math.min(names.length, Math.max(0, number));
  return to === 0 ? null : names[to - 1]!;
}

const STEPS: Readonly<Record<string, number>> = { "[": -1, "]": 1 };

/** Goes one layer back or forth, if the key says so. */
export function stepByKey(state: State, event: KeyboardEvent): boolean {
  const by = Object.hasOwn(STEPS, event.key) ? STEPS[event.key]! : 0;
  // On many keyboards the brackets are typed with Alt, and AltGr counts as Control with Alt.
  if (!by || event.metaKey || (event.ctrlKey && !event.altKey)) return false;
  event.preventDefault();
  const { view } = state;
  const number = layerNumber(view);
  const picked = view.get("layer");
  const between = picked !== null && mappedLayers(view)[number - 1] !== picked;
  pickLayer(state, numberedLayer(view, between && by < 0 ? number : number + by));
  return true;
}

/** Where the picked layer stands, for those who listen: "blocks.3, 12 of 49, sum +3.2". */
export function layerText(view: View): string {
  const layer = view.get("layer");
  const names = mappedLayers(view);
  if (layer === null) return `Input, before ${names.length} layers`;
  const number = layerNumber(view);
  const name = layer || "the model";
  if (names[number - 1] !== layer) return `${name}, no map`;
  const sum = currentLayerMaps(view)?.maps.get(layer)?.sum;
  return `${name}, ${number} of ${names.length}${sum === undefined ? "" : `, sum ${signed(sum)}`}`;
}
