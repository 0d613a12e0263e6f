/** One map minus another, as Python subtracts them (`widget/export/difference.py`). */
import type { Heat } from "../data/messages";
import { memo } from "../lib/memo";
import { type Displayed, ofHeat } from "./displayed";

/** Why two maps cannot be subtracted; empty where they can. */
export function whyNotSubtract(first: Displayed, second: Displayed): string {
  if (first.kind === "walk" || second.kind === "walk") return "only finished maps are subtracted";
  const [a, b] = [first.heat, second.heat];
  if (!a || !b) return "there is no map to subtract";
  if (a.w !== b.w || a.h !== b.h || a.pixels !== b.pixels) return "the maps are of different sizes";
  if (a.quantity !== b.quantity) return "the maps are of different quantities";
  return "";
}

function unitOfDifference(a: string, b: string): string {
  if (!a && !b) return "difference";
  return a === b ? `difference in ${a}` : `${a} − ${b}`;
}

function subtract(a: Heat, b: Heat): Heat {
  return {
    w: a.w,
    h: a.h,
    values: a.values.map((value, i) => value - b.values[i]!),
    title: `${a.title} − ${b.title}`,
    request: a.request,
    final: a.final && b.final,
    sum: a.sum === undefined || b.sum === undefined ? undefined : a.sum - b.sum,
    gap: undefined,
    preview: a.preview || b.preview,
    error: undefined,
    relativeError: undefined,
    evaluations: undefined,
    refinable: false,
    changed: a.changed || b.changed,
    pixels: a.pixels,
    summable: a.summable && b.summable,
    tellsWorth: false,
    compares: true,
    quantity: undefined,
    unit: unitOfDifference(a.unit, b.unit),
    output: undefined,
  };
}

const known: (a: Heat) => WeakMap<Heat, Heat> = memo(() => new WeakMap());

/** The first minus the second, over the picture of the first, summed over blocks of `side`; of maps that can be. */
export function difference(first: Displayed, second: Displayed, side: number): Displayed | undefined {
  const [a, b] = [first.heat, second.heat];
  if (!a || !b || whyNotSubtract(first, second)) return undefined;
  let left = known(a).get(b);
  if (!left) known(a).set(b, (left = subtract(a, b)));
  const stale = first.stale || second.stale;
  return { ...ofHeat(left, side), picture: first.picture, from: undefined, alpha: 1, stale };
}
