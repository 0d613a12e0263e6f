/**
 * The arithmetic of a waterfall: one step per column, each from where the one before ended, from the baseline's output
 * to the row's. Where numbers add up to no change of the output, steps begin at zero.
 */
import type { Heat } from "../data/messages";
import { at, locate } from "../data/walk-frames";
import { currentPath, type Displayed } from "../selection/displayed";
import { missesMuch, sharesOut } from "../selection/finding";
import { pathIsStale } from "../selection/freshness";
import { scopeOf } from "../selection/scope";
import type { View } from "../state/view";

/** What stands for no single column: those that there is no room for, and what the map leaves unexplained. */
export const OTHERS = -1;
export const GAP = -2;

export type Order = "size" | "table";

export interface Step {
  /** A column, OTHERS or GAP. */
  readonly item: number;
  readonly value: number;
  readonly from: number;
  readonly to: number;
}

export interface Waterfall {
  /** Whether each step begins where the one before ended. */
  readonly flows: boolean;
  readonly steps: readonly Step[];
  /** Between which numbers all of it lies. */
  readonly low: number;
  readonly high: number;
  /** The largest number at the end of the path, by size. */
  readonly largest: number;
}

/** The numbers of the columns, and between which outputs they lead. */
export interface Amounts {
  readonly valueAt: (column: number) => number;
  /** The numbers at the input's end of the path, by which columns are ordered and the scale is set. */
  readonly reference: Float32Array;
  /** The output that the first step begins at; undefined where steps begin at zero. */
  readonly start: number | undefined;
  /** The output that all together lead to; undefined where that is not known. */
  readonly end: number | undefined;
  /** What part of the change they leave unexplained; 0 where that is too little to be told. */
  readonly missing: number;
}

const finite = (value: number): number => (Number.isFinite(value) ? value : 0);

/** Which columns have a step of their own, and which are one step together. Those in `kept` have one in any case. */
export function arrange(
  ranking: readonly number[],
  most: number,
  order: Order,
  kept: ReadonlySet<number> = new Set(),
): { readonly shown: readonly number[]; readonly others: readonly number[] } {
  const shown = ranking.filter((column, rank) => rank < most || kept.has(column));
  // One column alone has room where "1 other" would stand.
  if (ranking.length - shown.length === 1) return { shown: inOrder(ranking, order), others: [] };
  const others = ranking.filter((column, rank) => rank >= most && !kept.has(column));
  return { shown: inOrder(shown, order), others };
}

const inOrder = (columns: readonly number[], order: Order): readonly number[] =>
  order === "table" ? [...columns].sort((a, b) => a - b) : columns;

function walk(
  shown: readonly number[],
  others: readonly number[],
  valueAt: (column: number) => number,
  start: number | undefined,
  missing: number,
): Step[] {
  let reached = start ?? 0;
  const step = (item: number, value: number): Step => {
    const from = start === undefined ? 0 : reached;
    reached = from + value;
    return { item, value, from, to: reached };
  };
  const steps = shown.map((column) => ({ ...step(column, finite(valueAt(column))), value: valueAt(column) }));
  if (others.length)
    steps.push(
      step(
        OTHERS,
        others.reduce((sum, one) => sum + finite(valueAt(one)), 0),
      ),
    );
  if (missing !== 0) steps.push(step(GAP, missing));
  return steps;
}

/** The steps, on a scale that stays while one walks along the path. */
export function waterfall(
  { shown, others }: { readonly shown: readonly number[]; readonly others: readonly number[] },
  { valueAt, reference, start, missing }: Amounts,
): Waterfall {
  const flows = start !== undefined;
  const steps = walk(shown, others, valueAt, start, missing);
  const whole = walk(shown, others, (column) => reference[column]!, start, missing);
  let low = start ?? 0;
  let high = low;
  for (const { item, to } of [...steps, ...whole]) {
    if (item === OTHERS && !flows) continue; // it has no bar
    low = Math.min(low, to);
    high = Math.max(high, to);
  }
  const largest = whole.reduce((most, { value }) => Math.max(most, Math.abs(finite(value))), 0);
  return { flows, steps, low, high, largest };
}

/** What the output changes by along the path, for methods that do not say themselves how much of it they miss. */
function changeOnPath(view: View): number | undefined {
  const way = currentPath(view);
  if (!way || scopeOf(view) !== "input" || pathIsStale(view, way)) return undefined;
  return way.scores.at(-1)! - way.scores[0]!;
}

function ofHeat(view: View, heat: Heat): Pick<Amounts, "start" | "end" | "missing"> {
  const { sum, gap, output, compares, values, final, preview } = heat;
  if (!compares || !sharesOut(heat) || sum === undefined || output === undefined) {
    return { start: undefined, end: output, missing: 0 };
  }
  const change = gap === undefined ? changeOnPath(view) : sum - gap;
  if (change === undefined) return { start: undefined, end: output, missing: 0 };
  const size = values.reduce((all, value) => all + Math.abs(finite(value)), 0);
  // As the sentence below: of what is not finished nobody says that it misses something.
  const counts = final && !preview && missesMuch(sum, sum - change, size);
  return { start: output - change, end: output, missing: counts ? change - sum : 0 };
}

/** The numbers on show; undefined where there are none. */
export function amountsOf(view: View, { field, heat, alpha }: Displayed): Amounts | undefined {
  if (!field) return undefined;
  const valueAt = (column: number): number => field.valueAt(column);
  const { reference } = field;
  if (heat) return { valueAt, reference, ...ofHeat(view, heat) };
  const way = currentPath(view)!;
  const start = way.scores[0]!;
  const end = start + at(way.totals, locate(way.alphas, alpha));
  return { valueAt, reference, start, end: Number.isFinite(end) ? end : undefined, missing: 0 };
}
