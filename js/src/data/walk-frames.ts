/** The walk from baseline to input: frames of the path, and whatever lies between two of them. */
import { memo } from "../lib/memo";
import type { Path } from "./messages";

/** A position on the path: `share` of the way from frame `low` to frame `low + 1`. */
export interface Between {
  readonly low: number;
  readonly share: number;
}

export function locate(alphas: readonly number[], alpha: number): Between {
  const last = alphas.length - 1;
  if (!(alpha > alphas[0]!)) return { low: 0, share: 0 };
  if (alpha >= alphas[last]!) return { low: last - 1, share: 1 };
  let low = 0;
  let high = last;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (alphas[middle]! <= alpha) low = middle;
    else high = middle;
  }
  return { low, share: (alpha - alphas[low]!) / (alphas[high]! - alphas[low]!) };
}

/** A series over the frames, anywhere between them. */
export function at(series: ArrayLike<number>, { low, share }: Between): number {
  const from = series[low] ?? NaN;
  return share === 0 ? from : from + (series[low + 1]! - from) * share;
}

/** The value of each code, indexed by the code's unsigned byte. */
export function decodeTable(scale: number): Float32Array {
  const table = new Float32Array(256);
  for (let code = -128; code < 128; code++) {
    table[code & 255] = scale * Math.sign(code) * (code / 127) ** 2;
  }
  return table;
}

export const decoder: (path: Path) => Float32Array = memo((path) => decodeTable(path.scale));

/** The values of the last frame: the whole attribution, which sets the colour scale of the walk. */
export const finalValues: (path: Path) => Float32Array = memo((path) => {
  const decode = decoder(path);
  const size = path.w * path.h;
  const first = (path.alphas.length - 1) * size;
  const values = new Float32Array(size);
  for (let i = 0; i < size; i++) values[i] = decode[path.codes[first + i]!]!;
  return values;
});

export function valueAt(path: Path, { low, share }: Between, index: number): number {
  const decode = decoder(path);
  const size = path.w * path.h;
  const code = (frame: number): number => path.codes[frame * size + index]!;
  return decode[code(low)]! * (1 - share) + decode[code(low + 1)]! * share;
}
