/**
 * The layers that have a map, in the order in which the model runs them. What only hands on a tensor is no stop of its
 * own: a container gives what its last child gave, and both are one stop, under the name that is nested least.
 */
import { memo } from "../lib/memo";
import type { LayerRow } from "../state/messages.generated";

export interface Stop {
  readonly name: string;
  readonly layer: LayerRow;
  /** All layers that give this very map, in the order of the tree; the stop's own among them. */
  readonly members: readonly string[];
  /** When its map was there. */
  readonly order: number;
}

/** Whether it can be picked; kernels that do not say so offer what has a map. */
export const isPickable = (layer: LayerRow): boolean => layer.pickable ?? layer.spatial;

const hasMap = (layer: LayerRow): boolean => isPickable(layer) && layer.spatial;

/** The model itself stands for others only where it is alone. */
const nesting = ({ name, depth }: LayerRow): number => (name === "" ? Infinity : depth);

export const stopsOf: (rows: readonly LayerRow[]) => readonly Stop[] = memo((rows) => {
  const groups = new Map<string, { layer: LayerRow; order: number }[]>();
  rows.forEach((layer, i) => {
    if (!hasMap(layer)) return;
    const key = layer.same_as ?? layer.name;
    const member = { layer, order: layer.order ?? i };
    const group = groups.get(key);
    if (group) group.push(member);
    else groups.set(key, [member]);
  });
  const stops = [...groups.values()].map((group): Stop => {
    const { layer } = group.reduce((best, one) => (nesting(one.layer) < nesting(best.layer) ? one : best));
    return {
      name: layer.name,
      layer,
      members: group.map((one) => one.layer.name),
      // A layer that runs again has this map since its last call, as those have that hand it on.
      order: Math.min(...group.map((one) => one.order)),
    };
  });
  return stops.sort((a, b) => a.order - b.order);
});

/** For each layer of a stop, the number of the stop, counted from 1: 0 is the input. */
export const stopNumbers: (stops: readonly Stop[]) => ReadonlyMap<string, number> = memo(
  (stops) => new Map(stops.flatMap(({ members }, i) => members.map((name) => [name, i + 1]))),
);

/** Stops that share a thumbnail: by their numbers, the first and the last, whose map it shows. */
export interface Stretch {
  readonly first: number;
  readonly last: number;
}

/**
 * Cuts the stops into at most so many stretches. Each ends with what is nested least: blocks rather than what is in
 * them; of a level that is too many, every so manieth.
 */
export function stretchesOf(stops: readonly Stop[], most: number): readonly Stretch[] {
  const { length } = stops;
  if (!length) return [];
  const ends = new Set([length]);
  const levels = [...new Set(stops.map(({ layer }) => layer.depth))].sort((a, b) => a - b);
  for (const level of levels) {
    const own = [...stops.keys()].filter((i) => stops[i]!.layer.depth === level && !ends.has(i + 1));
    const room = most - ends.size;
    const taken = Math.min(room, own.length);
    for (let k = 0; k < taken; k++) ends.add(own[Math.floor(((k + 0.5) * own.length) / taken)]! + 1);
    if (own.length >= room) break;
  }
  let first = 1;
  return [...ends]
    .sort((a, b) => a - b)
    .map((last) => {
      const stretch = { first, last };
      first = last + 1;
      return stretch;
    });
}

/**
 * Where a stop lies on the way from the input to the end, as a share of it: the input and each stretch have the same
 * room, and the stops of a stretch share its room.
 */
export function placeOf(stretches: readonly Stretch[], number: number): number {
  const rooms = stretches.length + 1;
  const at = stretches.findIndex(({ last }) => number <= last);
  if (number < 1 || at < 0) return (number < 1 ? 0.5 : rooms - 0.5) / rooms;
  const { first, last } = stretches[at]!;
  return (at + 1 + (number - first + 0.5) / (last - first + 1)) / rooms;
}

/** The number of the stop that lies there: the other way round. */
export function numberAt(stretches: readonly Stretch[], share: number): number {
  const rooms = stretches.length + 1;
  const room = Math.min(rooms - 1, Math.max(0, Math.floor(share * rooms)));
  const stretch = stretches[room - 1];
  if (!stretch) return 0;
  const { first, last } = stretch;
  const inside = Math.min(1, Math.max(0, share * rooms - room));
  return Math.min(last, first + Math.floor(inside * (last - first + 1)));
}
