/** All rows of a table as they were explained: numbers by row and line, a line being a column that was sent. */
import { floats } from "../lib/binary";
import { memo } from "../lib/memo";
import type { RawRows } from "../state/messages.generated";
import { fits } from "./messages";

export interface Rows {
  /** Of each line, which column of the table it is. */
  readonly columns: readonly number[];
  /** Of each line, the mean size of its attributions. */
  readonly sizes: readonly number[];
  readonly others: number;
  readonly count: number;
  /** How many of them have no explanation. */
  readonly failed: number;
  /** The least and the largest attribution of all. */
  readonly low: number;
  readonly high: number;
  /** By line, then by row. */
  readonly attributions: readonly Float32Array[];
  readonly values: readonly Float32Array[];
}

function byLine(numbers: Float32Array, count: number, lines: number): Float32Array[] {
  return Array.from({ length: lines }, (_, line) =>
    Float32Array.from({ length: count }, (__, row) => numbers[row * lines + line]!),
  );
}

export const rows = memo((raw: RawRows): Rows | undefined => {
  const {
    columns = [],
    sizes = [],
    count = 0,
    failed = 0,
    others = 0,
    attributions: data,
    values: seen,
  } = raw;
  const lines = columns.length;
  if (!count || !lines || !data || !seen) return undefined;
  const attributions = floats(data);
  const values = floats(seen);
  for (const numbers of [attributions, values]) {
    if (!fits("all rows", numbers.length, count * lines)) return undefined;
  }
  const known = attributions.filter(Number.isFinite);
  return {
    columns,
    sizes,
    others,
    count,
    failed,
    low: known.reduce((a, b) => Math.min(a, b), 0),
    high: known.reduce((a, b) => Math.max(a, b), 0),
    attributions: byLine(attributions, count, lines),
    values: byLine(values, count, lines),
  };
});

/** So few of the values at either end do not stretch the colours. */
const OUTLIERS = 0.05;

/** Where in the range of its column each value lies, from 0 to 1; NaN for those that are missing. */
export const shares = memo((values: Float32Array): Float32Array => {
  const sorted = values.filter(Number.isFinite).sort();
  const last = sorted.length - 1;
  let low = sorted[Math.floor(last * OUTLIERS)]!;
  let high = sorted[Math.ceil(last * (1 - OUTLIERS))]!;
  if (low === high) [low, high] = [sorted[0]!, sorted[last]!];
  return values.map((value) => {
    if (!Number.isFinite(value)) return NaN;
    return low === high ? 0.5 : Math.min(1, Math.max(0, (value - low) / (high - low)));
  });
});
