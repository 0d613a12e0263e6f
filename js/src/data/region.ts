/**
 * A region of the picture: which pixels lie in it, and the line around them. The kernel works out the same pixels from the
 * same words (`src/attriscope/widget/model/region.py`).
 */
import { bytes } from "../lib/binary";
import { memo } from "../lib/memo";
import type { RawSegments, Region } from "../state/messages.generated";
import { fits, size } from "./messages";

/** The picture cut into segments: for each pixel the number of its segment. */
export interface Segments {
  readonly w: number;
  readonly h: number;
  readonly labels: Uint8Array;
}

export interface Mask {
  readonly w: number;
  readonly h: number;
  /** 1 for the pixels that lie inside. */
  readonly inside: Uint8Array;
  readonly count: number;
}

export const segments = memo((raw: RawSegments): Segments | undefined => {
  const dims = size(raw.shape);
  if (!dims || !raw.data) return undefined;
  const labels = bytes(raw.data);
  return fits("the segments", labels.length, dims.w * dims.h) ? { ...dims, labels } : undefined;
});

/** The pixels of a region of a picture; undefined while that is not known, as of a segment before there are any. */
export function maskOf(region: Region, w: number, h: number, of: Segments | undefined): Mask | undefined {
  const inside = new Uint8Array(w * h);
  switch (region.kind) {
    case "box":
      fillBox(inside, region.box ?? [], w, h);
      break;
    case "lasso":
      fillLasso(inside, region.points ?? [], w, h);
      break;
    case "segment":
      if (!of) return undefined;
      fillSegment(inside, region.point ?? [], w, h, of);
      break;
    case "mask":
      fillRuns(inside, region.runs ?? []);
  }
  return { w, h, inside, count: inside.reduce((sum, one) => sum + one, 0) };
}

function fillBox(
  inside: Uint8Array,
  [top = 0, left = 0, bottom = 0, right = 0]: readonly number[],
  w: number,
  h: number,
): void {
  for (let y = Math.max(0, top); y < Math.min(bottom, h); y++) {
    inside.fill(1, y * w + Math.max(0, left), y * w + Math.min(right, w));
  }
}

/** By the even-odd rule, for the middles of the pixels. */
function fillLasso(inside: Uint8Array, points: readonly (readonly number[])[], w: number, h: number): void {
  points.forEach(([x1 = 0, y1 = 0], i) => {
    const [x2 = 0, y2 = 0] = points[(i + 1) % points.length] ?? [];
    for (let row = 0; row < h; row++) {
      const y = row + 0.5;
      if (y1 <= y === y2 <= y) continue;
      const at = x1 + (y - y1) * ((x2 - x1) / (y2 - y1));
      for (let x = Math.max(0, Math.floor(at)); x < w; x++) {
        if (x + 0.5 > at) inside[row * w + x]! ^= 1;
      }
    }
  });
}

function fillSegment(
  inside: Uint8Array,
  [x = 0, y = 0]: readonly number[],
  w: number,
  h: number,
  of: Segments,
): void {
  const label = (column: number, row: number): number =>
    of.labels[Math.floor((row * of.h) / h) * of.w + Math.floor((column * of.w) / w)]!;
  const wanted = label(x, y);
  for (let row = 0; row < h; row++) {
    for (let column = 0; column < w; column++) {
      if (label(column, row) === wanted) inside[row * w + column] = 1;
    }
  }
}

function fillRuns(inside: Uint8Array, runs: readonly number[]): void {
  let at = 0;
  runs.forEach((length, i) => {
    if (i % 2) inside.fill(1, at, at + length);
    at += length;
  });
}

/** The edges between the pixels that lie inside and those that do not, as an SVG path in pixels. */
export const outlineOf: (mask: Mask) => string = memo(({ w, h, inside }) => {
  const at = (x: number, y: number): number => (x < 0 || y < 0 || x >= w || y >= h ? 0 : inside[y * w + x]!);
  const parts: string[] = [];
  const runs = (
    length: number,
    isEdge: (i: number) => boolean,
    draw: (from: number, to: number) => string,
  ): void => {
    for (let i = 0; i < length; i++) {
      if (!isEdge(i)) continue;
      const from = i;
      while (i < length && isEdge(i)) i++;
      parts.push(draw(from, i));
    }
  };
  for (let y = 0; y <= h; y++) {
    runs(
      w,
      (x) => at(x, y) !== at(x, y - 1),
      (from, to) => `M${from} ${y}H${to}`,
    );
  }
  for (let x = 0; x <= w; x++) {
    runs(
      h,
      (y) => at(x, y) !== at(x - 1, y),
      (from, to) => `M${x} ${from}V${to}`,
    );
  }
  return parts.join("");
});

/** The values of a map that lie in a region of a picture, which may be of another size. */
export interface Within {
  readonly sum: number;
  /** What part of the map's values, by size, lies inside; undefined where all are zero. */
  readonly share: number | undefined;
}

export function within(
  mask: Mask,
  { w, h, valueAt }: { readonly w: number; readonly h: number; readonly valueAt: (index: number) => number },
): Within {
  let sum = 0;
  let held = 0;
  let all = 0;
  for (let y = 0; y < h; y++) {
    const row = Math.floor(((y + 0.5) * mask.h) / h) * mask.w;
    for (let x = 0; x < w; x++) {
      const value = valueAt(y * w + x);
      if (!Number.isFinite(value)) continue;
      all += Math.abs(value);
      if (!mask.inside[row + Math.floor(((x + 0.5) * mask.w) / w)]) continue;
      sum += value;
      held += Math.abs(value);
    }
  }
  return { sum, share: all > 0 ? held / all : undefined };
}
