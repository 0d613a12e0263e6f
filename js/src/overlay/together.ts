/** What is told of maps that are looked at with each other: what stands on the main stage, and in which words. */
import { signed } from "../lib/format";
import type { Displayed } from "../selection/displayed";
import type { Arrangement } from "../selection/pins";
import type { Others } from "./pinned";

/** What the words are about; `turn` is which of two that flicker is on show. */
export function mainOf(together: Arrangement, present: Displayed, turn: 0 | 1): Displayed {
  const { kind, pair, right, difference } = together;
  if (difference) return difference;
  if (kind === "flicker" && pair) return pair[turn];
  return right?.shown ?? present;
}

/** What stands in the place of the present map; undefined where that stands there. */
export function othersOf({ kind, right, difference }: Arrangement, main: Displayed): Others["instead"] {
  if (right) return { shown: right.shown, pin: right };
  return difference || kind === "flicker" ? { shown: main, pin: undefined } : undefined;
}

/** Over the stage. Two pins have their own titles above them. */
export function titleOf({ kind, right }: Arrangement, main: Displayed, turn: 0 | 1): string {
  if (kind === "flicker") return `${turn + 1} of 2: ${main.title}`;
  return right ? "Two pinned maps" : main.title;
}

/** What a difference says; empty where there is none. */
export function signsOf({ difference, pair }: Arrangement): string {
  if (!difference || !pair) return "";
  const sum = difference.heat?.sum;
  const total = sum === undefined ? "" : ` All of it sums to ${signed(sum)}.`;
  return `Above 0 the first map is larger, below 0 the second.${total}`;
}
