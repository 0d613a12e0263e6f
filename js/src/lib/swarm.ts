/** A beeswarm: each dot at its own place along a line, and as far beside the line as it takes not to hide another. */

/** The indices of the numbers from the least to the largest, without those that are none. */
export const ranked = (xs: ArrayLike<number>): number[] =>
  Array.from(xs, (_, i) => i)
    .filter((i) => Number.isFinite(xs[i]))
    .sort((a, b) => xs[a]! - xs[b]! || a - b);

/** The levels of a line are its middle, and others to both sides of it in turn. */
const sideOf = (level: number): number => (level % 2 ? (level + 1) / 2 : -level / 2);

/** On which level each dot lies where none touches another; undefined where that takes more levels than there are. */
function apart(xs: ArrayLike<number>, diameter: number, most: number): Float32Array | undefined {
  const levels = new Float32Array(xs.length).fill(NaN);
  const ends: number[] = [];
  for (const i of ranked(xs)) {
    let level = 0;
    while (level < ends.length && xs[i]! - ends[level]! < diameter) level++;
    if (level === most) return undefined;
    ends[level] = xs[i]!;
    levels[i] = level;
  }
  return levels.map(sideOf);
}

/** So few of the places along a crowded line, the most crowded ones, have their dots closer than the others. */
const SPIKES = 0.05;

/** The same, in levels that may be closer, where there is no room for that: a histogram of dots. */
function crowded(xs: ArrayLike<number>, diameter: number, least: number): [Float32Array, number] {
  const counts = new Map<number, number>();
  const levels = Float32Array.from(xs, (x) => {
    if (!Number.isFinite(x)) return NaN;
    const place = Math.floor(x / diameter);
    const level = counts.get(place) ?? 0;
    counts.set(place, level + 1);
    return level;
  });
  const highs = [...counts.values()].sort((a, b) => a - b);
  const most = Math.max(least, highs[Math.floor((highs.length - 1) * (1 - SPIKES))]!);
  const turns = Math.ceil(highs.at(-1)! / most);
  // What is above the highest level begins again in the middle, between the levels.
  const between = (level: number): number => (Math.floor(level / most) - (turns - 1) / 2) / turns;
  return [levels.map((level) => sideOf(level % most) + between(level)), most];
}

/**
 * How far each dot lies from the middle of a line that is `height` high, in the order of `xs`; NaN for dots without a
 * place. Dots that the height has no room for move closer to one another, but never to the same spot.
 */
export function stack(xs: ArrayLike<number>, diameter: number, height: number): Float32Array {
  const half = (height - diameter) / 2;
  const levels = 1 + 2 * Math.floor(half / diameter);
  const free = apart(xs, diameter, levels);
  if (free) return free.map((level) => level * diameter);
  const [close, most] = crowded(xs, diameter, levels);
  return close.map((level) => (level * half) / Math.ceil(most / 2));
}
