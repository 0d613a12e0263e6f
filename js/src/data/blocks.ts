/** Maps summed over square blocks: single pixels look like confetti, and what a region is worth is their sum. */
import { memo } from "../lib/memo";
import type { Path } from "./messages";
import { decoder } from "./walk-frames";

/** A map of blocks. The last column and row may be cut off: `extent` is how many blocks the map is wide and high. */
export interface Blocks {
  readonly w: number;
  readonly h: number;
  readonly extent: { readonly w: number; readonly h: number };
  readonly values: Float32Array;
}

/** How the numbers of a map `w` wide lie in blocks of `side`. */
function layOut(w: number, h: number, side: number): Omit<Blocks, "values"> & { blockOf: Int32Array } {
  const wide = Math.ceil(w / side);
  const high = Math.ceil(h / side);
  const blockOf = new Int32Array(w * h);
  for (let y = 0, i = 0; y < h; y++) {
    const row = Math.floor(y / side) * wide;
    for (let x = 0; x < w; x++, i++) blockOf[i] = row + Math.floor(x / side);
  }
  return { w: wide, h: high, extent: { w: w / side, h: h / side }, blockOf };
}

/**
 * Sums over blocks of `side` numbers along each side, each number counted `weight` times: as many pixels as it is the
 * mean of. What is no number counts as nothing; a block of nothing else is no number.
 */
export function blockSums(values: Float32Array, w: number, h: number, side: number, weight: number): Blocks {
  const { blockOf, ...shape } = layOut(w, h, side);
  const sums = new Float64Array(shape.w * shape.h);
  const counts = new Uint32Array(shape.w * shape.h);
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (Number.isNaN(value)) continue;
    const block = blockOf[i]!;
    sums[block]! += value;
    counts[block]!++;
  }
  const found = Float32Array.from(sums, (sum, block) => (counts[block] ? sum * weight : NaN));
  return { ...shape, values: found };
}

/** All frames of a walk summed over blocks, one after the other. */
export interface BlockFrames extends Omit<Blocks, "values"> {
  readonly frames: readonly Float32Array[];
}

const framesBySide: (path: Path) => Map<number, BlockFrames> = memo(() => new Map());

export function blockFrames(path: Path, side: number): BlockFrames {
  const known = framesBySide(path);
  let found = known.get(side);
  if (!found) {
    const size = path.w * path.h;
    const decode = decoder(path);
    const values = new Float32Array(size);
    let shape: Omit<Blocks, "values"> | undefined;
    const frames = path.alphas.map((_, frame) => {
      for (let i = 0; i < size; i++) values[i] = decode[path.codes[frame * size + i]!]!;
      const { values: sums, ...rest } = blockSums(values, path.w, path.h, side, path.pixels);
      shape = rest;
      return sums;
    });
    found = { ...shape!, frames };
    known.clear(); // one is enough: sides are tried one after the other
    known.set(side, found);
  }
  return found;
}
