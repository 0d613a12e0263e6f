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

/** Over the stage. Of two that stand side by side each has its own title above it. */
export function titleOf({ kind, left, right }: Arrangement, main: Displayed, turn: 0 | 1): string {
  if (kind === "flicker") return `${turn + 1} of 2: ${main.title}`;
  if (left) return right ? "Two pinned maps" : "A pinned map, and the map on show";
  return main.title;
}

const sumOf = ({ heat }: Displayed): string => (heat?.sum === undefined ? "" : signed(heat.sum));

/** What there is to say of two maps together. */
export function wordsOf({ difference, pair, kind }: Arrangement): string {
  if (!pair) return "";
  const [first, second] = pair;
  if (difference) return `Above 0: more in ${first.title}. Below 0: more in ${second.title}.`;
  const [one, other] = pair.map(sumOf);
  const [here, there] =
    kind === "side" ? ["The left one", "the right one"] : ["The first one", "the second one"];
  return one && other ? `${here} sums to ${one}, ${there} to ${other}.` : "";
}

/** What has to be said first of the numbers: why it is not as was chosen, or what a difference adds up to. */
export function firstOf({ difference, why }: Arrangement): string {
  const sum = difference && sumOf(difference);
  return sum ? `sum ${sum}` : why;
}
