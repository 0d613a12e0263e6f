/** Sums over blocks, against a slow second way to add up. */
import { describe, expect, it } from "vitest";
import { blockFrames, blockSums } from "../../src/data/blocks";
import type { Path } from "../../src/data/messages";
import { decodeTable } from "../../src/data/walk-frames";
import { noise } from "../support/fake";

function slowly(values: Float32Array, w: number, h: number, side: number): number[] {
  const sums: number[] = [];
  for (let top = 0; top < h; top += side) {
    for (let left = 0; left < w; left += side) {
      let sum = 0;
      for (let y = top; y < Math.min(h, top + side); y++) {
        for (let x = left; x < Math.min(w, left + side); x++) sum += values[y * w + x]!;
      }
      sums.push(sum);
    }
  }
  return sums;
}

describe("sums over blocks", () => {
  it.each([
    [6, 4, 2],
    [7, 5, 3],
    [5, 9, 4],
    [3, 2, 8],
  ])("of %i by %i numbers, %i along a side, are all numbers added up", (w, h, side) => {
    const values = noise(w * h, 1);
    const blocks = blockSums(values, w, h, side, 1);
    expect([blocks.w, blocks.h]).toEqual([Math.ceil(w / side), Math.ceil(h / side)]);
    expect(blocks.extent).toEqual({ w: w / side, h: h / side });
    const slow = slowly(values, w, h, side);
    expect(blocks.values).toHaveLength(slow.length);
    blocks.values.forEach((value, i) => expect(value).toBeCloseTo(slow[i]!, 5));
    const [all, inBlocks] = [values, blocks.values].map((list) => list.reduce((sum, one) => sum + one, 0));
    expect(inBlocks).toBeCloseTo(all!, 4);
  });

  it("count a number as often as it has pixels", () => {
    expect([...blockSums(Float32Array.of(1, 2, 3, 4), 2, 2, 2, 2.5).values]).toEqual([25]);
  });

  it("take what is no number for nothing, unless there is nothing else", () => {
    const values = Float32Array.of(NaN, 1, NaN, NaN);
    expect([...blockSums(values, 2, 2, 2, 1).values]).toEqual([1]);
    expect([...blockSums(values, 2, 2, 1, 1).values]).toEqual([NaN, 1, NaN, NaN]);
    expect([...blockSums(Float32Array.of(NaN, NaN), 2, 1, 2, 1).values]).toEqual([NaN]);
  });

  it("of a walk are those of each of its frames", () => {
    const codes = new Uint8Array(Int8Array.of(127, -127, 64, 0, 127, 127, 0, 0).buffer);
    const path = { w: 2, h: 2, alphas: [0, 1], codes, scale: 3, pixels: 1 } as unknown as Path;
    const decode = decodeTable(3);
    const { frames, w, h } = blockFrames(path, 2);
    expect([w, h]).toEqual([1, 1]);
    expect(frames[0]![0]).toBeCloseTo(decode[64]!, 6);
    expect(frames[1]![0]).toBeCloseTo(6, 6);
    expect(blockFrames(path, 2).frames).toBe(frames); // once is enough
  });
});
