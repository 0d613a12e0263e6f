/** Neurons by name, and the list of those that are switched off. */
import { number, signed } from "../lib/format";
import type { Point } from "../lib/zoom";
import type { Ablated, Neuron } from "../state/messages.generated";
import { type Channels, type Quantity, valuesOf } from "./channels";

/** Which head a unit belongs to; undefined where there are none. */
export function headOf({ heads, count }: Channels, channel: number): number | undefined {
  return heads ? Math.floor(channel / (count / heads)) : undefined;
}

/** A place in a channel as a neuron names it: row and column, or the position of a token. */
export function placeAt({ layout }: Channels, { x, y }: Point): readonly number[] {
  return layout === "tokens" || layout === "sequence" ? [x] : [y, x];
}

/** A place inside a channel by name: row and column, or the word at a position. */
function placeName(place: readonly number[], positions: readonly string[] = []): string {
  const label = (i: number): string => (positions[i] === undefined ? String(i) : `“${positions[i]}”`);
  const [first = 0, second] = place;
  if (second !== undefined) return `row ${positions.length ? label(first) : first}, column ${label(second)}`;
  return positions[first] === undefined ? `position ${first}` : `position ${first} ${label(first)}`;
}

/** What is at a place of a channel, as near as what was sent tells: coarser than the layer, and in steps. */
export function valueName(
  of: Channels,
  channel: number,
  quantity: Quantity,
  place: readonly number[],
): string {
  const [row, column] = place.length > 1 ? place : [0, ...place];
  const y = Math.floor(((row! + 0.5) * of.h) / of.rows);
  const x = Math.floor(((column! + 0.5) * of.w) / of.columns);
  const value = valuesOf(of[quantity])[(channel * of.h + y) * of.w + x]!;
  return `${placeName(place, of.positions)}: ${quantity} ≈ ${amountNumber(value, quantity)}`;
}

export function neuronName(neuron: Neuron, noun: string, positions?: readonly string[]): string {
  const place = placeOf(neuron);
  const name = `${noun} ${channelOf(neuron)}`;
  return place ? `${name}, ${placeName(place, positions)}` : name;
}

/** A number of a channel in words: "contribution +0.82". */
export function amountText(of: Channels, channel: number, quantity: Quantity): string {
  return `${quantity} ${amountNumber(of[quantity].totals[channel]!, quantity)}`;
}

/** What is added to an output carries its sign, also when it is more. */
export const amountNumber = (value: number, quantity: Quantity): string =>
  quantity === "contribution" ? signed(value) : number(value);

export function isOff(ablated: readonly Ablated[], layer: string, neuron: Neuron): boolean {
  const key = neuronKey(neuron);
  return ablated.some(([name, one]) => name === layer && neuronKey(one) === key);
}

/** How much of each channel of a layer is switched off; what is not in it is on. */
export function offChannels(
  ablated: readonly Ablated[],
  layer: string | null | undefined,
): ReadonlyMap<number, "all" | "part"> {
  const off = new Map<number, "all" | "part">();
  for (const [name, neuron] of ablated) {
    const channel = channelOf(neuron);
    if (name !== layer || channel === undefined) continue;
    if (!placeOf(neuron)) off.set(channel, "all");
    else if (!off.has(channel)) off.set(channel, "part");
  }
  return off;
}

/** A neuron as text that is the same for the same neuron, however it is written. */
export function neuronKey(neuron: Neuron | null | undefined): string {
  if (neuron === null || neuron === undefined) return "";
  return JSON.stringify(typeof neuron === "number" ? [neuron] : neuron);
}

/** The channel that a neuron is or lies in. */
export function channelOf(neuron: Neuron | null | undefined): number | undefined {
  return typeof neuron === "number" ? neuron : neuron?.[0];
}

/** Where in its channel a neuron lies: row and column, or the position in a row of them; undefined for all of it. */
export function placeOf(neuron: Neuron | null | undefined): readonly number[] | undefined {
  return typeof neuron === "object" && neuron && neuron.length > 1 ? neuron.slice(1) : undefined;
}
