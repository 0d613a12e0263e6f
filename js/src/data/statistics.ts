/** Numbers about a map: exact percentiles of its size by sign, and a summary for people who do not see it. */
import { memo } from "../lib/memo";
import type { Sign } from "../state/messages.generated";

const SIZE_BITS = 0x7fffffff;
const INFINITY_BITS = 0x7f800000;

/**
 * Percentiles of |transform(value)|. The bits of non-negative floats order as the floats do, so two counting
 * passes (upper, then lower 16 bits) find any order statistic exactly, without sorting. The first pass is kept.
 */
export class Magnitudes {
  /** How many values are finite: infinities and NaN have no say in the scale. */
  readonly count: number;
  readonly #bits: Int32Array;
  readonly #values: Float32Array;
  readonly #upper = new Uint32Array(0x8000);
  /** The sign bit of what counts as zero; 2, which no value has, when nothing does. */
  readonly #dropped: number;

  constructor(values: Float32Array, sign: Sign) {
    this.#values = values;
    this.#bits = new Int32Array(values.buffer, values.byteOffset, values.length);
    this.#dropped = sign === "positive" ? 1 : sign === "negative" ? 0 : 2;
    const bits = this.#bits;
    const upper = this.#upper;
    const dropped = this.#dropped;
    const { length } = bits; // for-of over a typed array takes five times as long
    let count = 0;
    for (let i = 0; i < length; i++) {
      const b = bits[i]!;
      const size = b & SIZE_BITS;
      if (size >= INFINITY_BITS) continue;
      upper[b >>> 31 === dropped ? 0 : size >>> 16]!++;
      count++;
    }
    this.count = count;
  }

  /** The percentile by linear interpolation between order statistics, as numpy's default. 0 when nothing is finite. */
  percentile(percent: number): number {
    if (this.count === 0) return 0;
    const rank = (Math.min(100, Math.max(0, percent)) / 100) * (this.count - 1);
    const below = Math.floor(rank);
    const [low, high] = this.#orderStatistics(below);
    return low + (rank - below) * (high - low);
  }

  /** How many values, infinite ones included, lie above the limit. */
  above(limit: number): number {
    const bits = this.#bits;
    const dropped = this.#dropped;
    const { length } = bits;
    const bound = toBits(limit);
    let count = 0;
    for (let i = 0; i < length; i++) {
      const b = bits[i]!;
      const size = b & SIZE_BITS;
      if (size > bound && size <= INFINITY_BITS && b >>> 31 !== dropped) count++;
    }
    return count;
  }

  /** The share of the sum of all sizes that lies above the limit; infinities have no say. */
  shareAbove(limit: number): number {
    const values = this.#values;
    const dropped = this.#dropped;
    const { length } = values;
    let [beyond, all] = [0, 0];
    for (let i = 0; i < length; i++) {
      const value = values[i]!;
      const size = Math.abs(value);
      if (!(size < Infinity) || (dropped === 1 ? value < 0 : dropped === 0 && value > 0)) continue;
      all += size;
      if (size > limit) beyond += size;
    }
    return all > 0 ? beyond / all : 0;
  }

  /** The value of a rank and the next larger one; the same twice at the end. */
  #orderStatistics(rank: number): [number, number] {
    const upper = this.#upper;
    let top = 0;
    let before = 0;
    while (before + upper[top]! <= rank) before += upper[top++]!;
    const inTop = before + upper[top]!;

    this.#countLower(top);
    let rest = 0;
    while (before + lower[rest]! <= rank) before += lower[rest++]!;
    const low = fromBits(((top << 16) | rest) >>> 0);
    if (rank + 1 >= this.count || rank + 1 < before + lower[rest]!) return [low, low];

    if (rank + 1 < inTop) rest++;
    else {
      do top++;
      while (upper[top] === 0);
      this.#countLower(top);
      rest = 0;
    }
    while (lower[rest] === 0) rest++;
    return [low, fromBits(((top << 16) | rest) >>> 0)];
  }

  /** Counts the lower halves of what has the same upper half. */
  #countLower(top: number): void {
    const bits = this.#bits;
    const dropped = this.#dropped;
    const { length } = bits;
    lower.fill(0);
    for (let i = 0; i < length; i++) {
      const b = bits[i]!;
      const size = b >>> 31 === dropped ? 0 : b & SIZE_BITS;
      if (size >>> 16 === top && (b & SIZE_BITS) < INFINITY_BITS) lower[size & 0xffff]!++;
    }
  }
}

// For all maps in turn: while one scrubs through layers there is a new map in each frame.
const lower = new Uint32Array(0x10000);
const scratch = new DataView(new ArrayBuffer(4));

function fromBits(bits: number): number {
  scratch.setUint32(0, bits);
  return scratch.getFloat32(0);
}

/** Bits of the largest float32 that is not above the value. */
function toBits(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  return fromBits(bits) > value ? bits - 1 : bits;
}

const magnitudes: (values: Float32Array) => Map<Sign, Magnitudes> = memo(() => new Map());

function magnitudesOf(values: Float32Array, sign: Sign): Magnitudes {
  const known = magnitudes(values);
  let found = known.get(sign);
  if (!found) known.set(sign, (found = new Magnitudes(values, sign)));
  return found;
}

/** Where the colour scale of a map ends. */
export interface Scale {
  /** The scale runs over [-limit, limit] or [0, limit]; 0 when there is nothing to draw. */
  readonly limit: number;
  /** Share of the map's values that lie beyond the limit. */
  readonly clipped: number;
  /** Next to all of the map lies beyond the percentile, so the scale ends at the largest value instead. */
  readonly sparse: boolean;
  /** The limit is not this map's own but held over several. */
  readonly held: boolean;
}

/** A scale that leaves more than this share of a map beyond it says nothing of the map; Python has the same. */
const NEARLY_ALL = 0.9;

const scales: (values: Float32Array) => Map<string, Scale> = memo(() => new Map());

/** The scale of a map, remembered per sign and percentile; or the held one, which asks for no percentile. */
export function scaleOf(
  values: Float32Array,
  sign: Sign,
  outlierPercent: number,
  held: number | null = null,
): Scale {
  const known = scales(values);
  const key = held === null ? `${sign} ${outlierPercent}` : `${sign} held ${held}`;
  let scale = known.get(key);
  if (!scale) {
    const sizes = magnitudesOf(values, sign);
    const wanted = held ?? sizes.percentile(100 - outlierPercent);
    // Of few values that count, the percentile is one that does not, and in the colours all would be alike.
    const sparse = held === null && (wanted === 0 || sizes.shareAbove(wanted) > NEARLY_ALL);
    const limit = wanted > 0 && !sparse ? wanted : sizes.percentile(100);
    scale = {
      limit,
      clipped: limit > 0 ? sizes.above(limit) / values.length : 0,
      sparse: sparse && limit > 0,
      held: held !== null,
    };
    if (known.size > 200) known.clear(); // a long drag of the slider
    known.set(key, scale);
  }
  return scale;
}

export interface Summary {
  readonly min: number;
  readonly max: number;
  readonly sum: number;
  /** Index of the value with the largest magnitude; -1 when nothing is finite. */
  readonly peak: number;
  readonly nans: number;
}

export const summary: (values: Float32Array) => Summary = memo((values) => {
  let min = Infinity;
  let max = -Infinity;
  let sum = 0;
  let peak = -1;
  let largest = -1;
  let nans = 0;
  for (let i = 0; i < values.length; i++) {
    const v = values[i]!;
    if (Number.isNaN(v)) {
      nans++;
      continue;
    }
    if (v < min) min = v;
    if (v > max) max = v;
    sum += v;
    const size = Math.abs(v);
    if (size > largest && size < Infinity) {
      largest = size;
      peak = i;
    }
  }
  return { min, max, sum, peak, nans };
});
