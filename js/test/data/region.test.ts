/** Which pixels lie in a region, the line around them, and what a map says there. */
import { describe, expect, it } from "vitest";
import { type Mask, maskOf, outlineOf, segments, within } from "../../src/data/region";
import type { Region } from "../../src/state/messages.generated";
import { noise, onWire } from "../support/fake";

const W = 9;
const H = 7;
const LABELS = segments({ shape: [2, 3], data: onWire(Uint8Array.of(0, 0, 1, 2, 1, 1)) })!;

/** The rows of a mask, as text. */
function rows({ inside, w, h }: Mask): string[] {
  return Array.from({ length: h }, (_, y) =>
    Array.from({ length: w }, (_, x) => (inside[y * w + x] ? "#" : ".")).join(""),
  );
}

const drawn = (region: Region, w = W, h = H): string[] => rows(maskOf(region, w, h, LABELS)!);
const where = (test: (x: number, y: number) => boolean): string[] =>
  Array.from({ length: H }, (_, y) => Array.from({ length: W }, (_, x) => (test(x, y) ? "#" : ".")).join(""));

/** The even-odd rule, by the angles under which the corners are seen: whole turns, counted. */
function winds(points: readonly (readonly number[])[], x: number, y: number): boolean {
  let crossings = 0;
  points.forEach(([x1, y1], i) => {
    const [x2, y2] = points[(i + 1) % points.length]!;
    const [low, high] =
      y1! < y2!
        ? [
            [x1!, y1!],
            [x2!, y2!],
          ]
        : [
            [x2!, y2!],
            [x1!, y1!],
          ];
    if (y < low[1]! || y >= high[1]!) return;
    if ((high[0]! - low[0]!) * (y - low[1]!) - (high[1]! - low[1]!) * (x - low[0]!) > 0) crossings++;
  });
  return crossings % 2 === 1;
}

describe("the pixels of a region", () => {
  it("are those of a half-open box", () => {
    expect(drawn({ kind: "box", box: [2, 3, 5, 9] })).toEqual(where((x, y) => y >= 2 && y < 5 && x >= 3));
    expect(drawn({ kind: "box", box: [-2, -1, 50, 2] })).toEqual(where((x) => x < 2));
  });

  it.each([
    [
      [
        [4.2, -1],
        [6.9, 8],
        [0.3, 2.4],
        [8.8, 2.1],
        [1.6, 7.7],
      ],
    ],
    [
      [
        [0.4, 0.6],
        [8.7, 3.6],
        [4, 7],
      ],
    ],
    [
      [
        [3, 2],
        [9, 2],
        [9, 5],
        [3, 5],
      ],
    ],
  ])("are those whose middles a lasso goes around", (points) => {
    expect(drawn({ kind: "lasso", points })).toEqual(where((x, y) => winds(points, x + 0.5, y + 0.5)));
  });

  it.each([
    [0, 0],
    [8, 0],
    [0, 6],
    [4, 4],
  ])("are those of the segment of %i, %i", (x, y) => {
    const label = (column: number, row: number): number =>
      LABELS.labels[Math.floor((row * 2) / H) * 3 + Math.floor((column * 3) / W)]!;
    expect(drawn({ kind: "segment", point: [x, y] })).toEqual(where((i, j) => label(i, j) === label(x, y)));
    expect(maskOf({ kind: "segment", point: [x, y] }, W, H, undefined)).toBeUndefined();
  });

  it("are those of a mask's runs", () => {
    expect(drawn({ kind: "mask", runs: [0, 2, 9, 7, 45] })).toEqual(
      where((x, y) => (y === 0 && x < 2) || (y === 1 && x >= 2)),
    );
    expect(maskOf({ kind: "mask", runs: [0, 2, 9, 7, 45] }, W, H, undefined)!.count).toBe(9);
  });
});

describe("the line around a region", () => {
  it("goes along the edges of its pixels, each once", () => {
    const mask = maskOf({ kind: "mask", runs: [0, 2, 9, 7, 20, 1, 24] }, W, H, undefined)!;
    const edges: string[] = [];
    for (const [, x, y, way, to] of outlineOf(mask).matchAll(/M(\d+) (\d+)([HV])(\d+)/g)) {
      const from = Number(way === "H" ? x : y);
      for (let i = from; i < Number(to); i++) edges.push(way === "H" ? `h ${i} ${y}` : `v ${x} ${i}`);
    }
    const at = (x: number, y: number): number =>
      x < 0 || y < 0 || x >= W || y >= H ? 0 : mask.inside[y * W + x]!;
    const wanted: string[] = [];
    for (let y = 0; y <= H; y++) {
      for (let x = 0; x <= W; x++) {
        if (x < W && at(x, y) !== at(x, y - 1)) wanted.push(`h ${x} ${y}`);
        if (y < H && at(x, y) !== at(x - 1, y)) wanted.push(`v ${x} ${y}`);
      }
    }
    expect(edges.sort()).toEqual(wanted.sort());
  });
});

describe("what a map says of a region", () => {
  it("is the sum of its values there, and their share by size", () => {
    const values = noise(W * H);
    values[5] = NaN;
    const mask = maskOf({ kind: "box", box: [0, 2, 4, 7] }, W, H, undefined)!;
    let [sum, held, all] = [0, 0, 0];
    values.forEach((value, i) => {
      if (Number.isNaN(value)) return;
      all += Math.abs(value);
      if (!mask.inside[i]) return;
      sum += value;
      held += Math.abs(value);
    });
    const found = within(mask, { w: W, h: H, valueAt: (i) => values[i]! });
    expect(found.sum).toBeCloseTo(sum, 12);
    expect(found.share).toBeCloseTo(held / all, 12);
    expect(within(mask, { w: 1, h: 1, valueAt: () => 0 }).share).toBeUndefined();
  });
});
