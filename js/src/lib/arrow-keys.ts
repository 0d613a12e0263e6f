/** A cross over a picture, moved by keys. */
import { clamp } from "./dom";
import type { Point } from "./zoom";

const FAST = 10;

export const ARROWS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

const ENDS: Readonly<Record<string, readonly [number, number]>> = {
  Home: [-Infinity, 0],
  End: [Infinity, 0],
  PageUp: [0, -Infinity],
  PageDown: [0, Infinity],
};

interface Extent {
  readonly width: number;
  readonly height: number;
}

/** Where a key moves the cross to; undefined for keys that do not. */
export function crossStep(
  key: string,
  fast: boolean,
  from: Point | undefined,
  { width, height }: Extent,
): Point | undefined {
  const arrow = Object.hasOwn(ARROWS, key) ? ARROWS[key] : undefined;
  const by = arrow ?? (Object.hasOwn(ENDS, key) ? ENDS[key] : undefined);
  if (!by || !width) return undefined;
  const middle = { x: (width - 1) >> 1, y: (height - 1) >> 1 };
  if (!from && arrow) return middle; // the first arrow only shows the cross
  const { x, y } = from ?? middle;
  const speed = fast ? FAST : 1;
  return { x: clamp(x + by[0] * speed, 0, width - 1), y: clamp(y + by[1] * speed, 0, height - 1) };
}
