/** Picking layers, wherever that is done, and where the picked one stands among those that have a map. */
import { type Stop, stopNumbers, stopsOf } from "../data/layer-stops";
import { signed } from "../lib/format";
import { memo } from "../lib/memo";
import type { State } from "../state/state";
import type { View } from "../state/view";
import { currentHeat, currentLayerMaps } from "./displayed";
import { isOfInput } from "./freshness";
import { MOST_PICKED, picked } from "./pins";

/** The layers that have a map, in the order in which they run, each map once: what one scrubs through. */
export function mappedLayers(view: View): readonly string[] {
  if (view.has("layers")) return stopNames(layerStops(view));
  return [...(currentLayerMaps(view)?.maps.keys() ?? [])];
}

/** The same with all that is known of them; none where the kernel has not said what layers there are. */
export const layerStops = (view: View): readonly Stop[] => stopsOf(view.get("layers"));

const stopNames = memo((stops: readonly Stop[]): readonly string[] => stops.map(({ name }) => name));

/** The number of a layer among those that have a map, from 1; undefined when it has none. */
function numberOf(view: View, name: string): number | undefined {
  if (view.has("layers")) return stopNumbers(layerStops(view)).get(name);
  const index = mappedLayers(view).indexOf(name);
  return index < 0 ? undefined : index + 1;
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
  // Two pins stand in the place of the map on show; one is looked at beside it, and stays.
  if (picked(view).length === MOST_PICKED) state.set("beside", []);
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
  const number = numberOf(view, picked);
  if (number !== undefined) return number;
  const rows = view.get("layers");
  const row = rows.findIndex(({ name }) => name === picked);
  const order = rows[row]?.order ?? row;
  return layerStops(view).filter((stop) => stop.order < order).length;
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
  const between = picked !== null && numberOf(view, picked) === undefined;
  pickLayer(state, numberedLayer(view, between && by < 0 ? number : number + by));
  return true;
}

/** Where the picked layer stands, for those who listen: "blocks.3, 12 of 49, sum +3.2". */
export function layerText(view: View): string {
  const layer = view.get("layer");
  const names = mappedLayers(view);
  if (layer === null) return `Input, before ${names.length} layers`;
  const number = numberOf(view, layer);
  const name = layer || "the model";
  if (number === undefined) return `${name}, no map`;
  const sum = currentLayerMaps(view)?.maps.get(layer)?.sum;
  return `${name}, ${number} of ${names.length}${sum === undefined ? "" : `, sum ${signed(sum)}`}`;
}
