/** A row of a table as it came, and sets of its columns as regions of a picture of one by as many pixels. */
import { memo } from "../lib/memo";
import type { RawTable, Region } from "../state/messages.generated";

export interface Column {
  readonly name: string;
  /** NaN where it is missing. */
  readonly value: number;
  /** Between which values it lies in the rows that there are; NaN where that is not known. */
  readonly low: number;
  readonly high: number;
}

export interface Table {
  readonly columns: readonly Column[];
  /** How many rows there are. */
  readonly rows: number;
}

/** What is malformed counts as not there. */
export const table = memo(({ names, values, low, high, rows }: RawTable): Table | undefined => {
  if (!names?.length || values?.length !== names.length) return undefined;
  const columns = names.map((name, i) => ({
    name,
    value: values[i] ?? NaN,
    low: low?.[i] ?? NaN,
    high: high?.[i] ?? NaN,
  }));
  return { columns, rows: rows ?? 0 };
});

const sizeOf = (value: number): number => (Number.isFinite(value) ? Math.abs(value) : 0);

/** The columns from the largest number to the smallest, by size. */
export const bySize: (values: Float32Array) => readonly number[] = memo((values) =>
  Array.from(values.keys()).sort((a, b) => sizeOf(values[b]!) - sizeOf(values[a]!) || a - b),
);

/** A set of columns out of `count` as a region; null for none, which is no region. */
export function columnsRegion(columns: Iterable<number>, count: number): Region | null {
  const inside = [...new Set(columns)].sort((a, b) => a - b);
  if (!inside.length) return null;
  if (inside.length === 1) return { kind: "box", box: [0, inside[0]!, 1, inside[0]! + 1] };
  // How many lie outside, then inside, then outside, and so on.
  const runs: number[] = [];
  let at = 0;
  for (const column of inside) {
    if (column === at && runs.length) runs[runs.length - 1]!++;
    else runs.push(column - at, 1);
    at = column + 1;
  }
  if (at < count) runs.push(count - at);
  return { kind: "mask", runs };
}
