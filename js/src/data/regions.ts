/** Where in a map the attribution lies: sums over a grid of cells, and the strongest part of it in words. */
import { percent, signed } from "../lib/format";

/** A map as a grid of cells, each with the sum of the values in it (NaN counts as nothing). */
export interface Regions {
  readonly columns: number;
  readonly rows: number;
  /** rows * columns, row by row */
  readonly sums: Float64Array;
  /** The same for the sizes |value|. */
  readonly sizes: Float64Array;
}

export function regionsOf(
  w: number,
  h: number,
  valueAt: (index: number) => number,
  columns: number,
  rows: number,
): Regions {
  const wide = Math.min(columns, w);
  const high = Math.min(rows, h);
  const sums = new Float64Array(wide * high);
  const sizes = new Float64Array(wide * high);
  for (let y = 0; y < h; y++) {
    const row = Math.floor((y * high) / h) * wide;
    for (let x = 0; x < w; x++) {
      const value = valueAt(y * w + x);
      if (!Number.isFinite(value)) continue;
      const cell = row + Math.floor((x * wide) / w);
      sums[cell]! += value;
      sizes[cell]! += Math.abs(value);
    }
  }
  return { columns: wide, rows: high, sums, sizes };
}

/** The pixels that belong to one of `cells` equal cells, as "0–27". */
export function span(cell: number, cells: number, pixels: number): string {
  const first = Math.ceil((cell * pixels) / cells);
  const last = Math.max(first, Math.ceil(((cell + 1) * pixels) / cells) - 1);
  return first === last ? String(first) : `${first}–${last}`;
}

const ROWS = ["top", "middle", "bottom"] as const;
const COLUMNS = ["left", "centre", "right"] as const;

/** What to call one of nine cells of a picture. */
export function nameOf(cell: number): string {
  const row = ROWS[Math.floor(cell / 3)]!;
  const column = COLUMNS[cell % 3]!;
  if (row === "middle") return column === "centre" ? "the centre" : `the middle ${column}`;
  return column === "centre" ? `the ${row} centre` : `the ${row} ${column}`;
}

/** The cell whose value is the highest, or the lowest. */
export function largest(values: ArrayLike<number>, sign: 1 | -1): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (sign * values[i]! > sign * values[best]!) best = i;
  return best;
}

/**
 * The strongest part of a map in words, from a grid of three by three; undefined where there is none. Of a map that
 * shares something out it is the one that speaks most for it and the one that speaks most against it, by the sums of
 * what they hold, each number standing for so many `pixels`; of another one that with most of the sizes.
 */
export function strongest(
  { columns, rows, sums, sizes }: Regions,
  sharesOut: boolean,
  pixels = 1,
): string | undefined {
  if (columns !== 3 || rows !== 3) return undefined;
  const total = sizes.reduce((all, size) => all + size, 0);
  if (!(total > 0)) return undefined;
  if (!sharesOut) {
    const best = largest(sizes, 1);
    return `The strongest ninth is ${nameOf(best)}, with ${percent(sizes[best]! / total)} of the map.`;
  }
  const [most, least] = [largest(sums, 1), largest(sums, -1)];
  const of = (cell: number): string => `${nameOf(cell)} (sum ${signed(pixels * sums[cell]!)})`;
  const against = sums[least]! < 0 ? of(least) : "";
  if (!(sums[most]! > 0))
    return `No ninth speaks for the output${against && `; most against it ${against}`}.`;
  return `The ninth that speaks most for the output is ${of(most)}${against && `; most against it ${against}`}.`;
}
