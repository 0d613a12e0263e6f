/** A beeswarm: each dot at its own place along a line, and as far beside the line as it takes not to hide another. */

/** The indices of the numbers from the least to the largest, without those that are none. */
export const ranked = (xs: ArrayLike<number>): number[] =>
  Array.from(xs, (_, i) => i)
    .filter((i) => Number.isFinite(xs[i]))
    .sort((a, b) => xs[a]! - xs[b]! || a - b);

/**
 * How far each dot lies from the middle of a line that is `height` high, in the order of `xs`; NaN for dots without a
 * place. Dots that the height has no room for move closer to one another, but never to the same spot.
 */
export function stack(xs: ArrayLike<number>, diameter: number, height: number): Float32Array {
  const beside = new Float32Array(xs.length).fill(NaN);
  /** Where the last dot of each level lies: level 0 is the middle, the others are to both sides of it in turn. */
  const ends: number[] = [];
  for (const i of ranked(xs)) {
    let level = 0;
    while (level < ends.length && xs[i]! - ends[level]! < diameter) level++;
    ends[level] = xs[i]!;
    beside[i] = level % 2 ? (level + 1) / 2 : -level / 2;
  }
  const step = Math.min(diameter, (height - diameter) / 2 / Math.ceil((ends.length - 1) / 2));
  return ends.length > 1 ? beside.map((steps) => steps * step) : beside;
}
