import { describe, expect, it } from "vitest";
import { transform } from "../../src/data/colour-tables";
import { Magnitudes, scaleOf, summary } from "../../src/data/statistics";
import type { Sign } from "../../src/state/messages.generated";
import { noise } from "../support/fake";

const SIGNS: readonly Sign[] = ["all", "positive", "negative", "absolute"];

/** The same by sorting, as numpy.percentile does. */
function sortedPercentile(values: Float32Array, sign: Sign, percent: number): number {
  const sizes = [...values]
    .filter(Number.isFinite)
    .map((v) => Math.abs(transform(v, sign)))
    .sort((a, b) => a - b);
  const rank = (percent / 100) * (sizes.length - 1);
  const low = Math.floor(rank);
  return sizes[low]! + (rank - low) * ((sizes[low + 1] ?? sizes[low]!) - sizes[low]!);
}

describe("percentiles by counting", () => {
  const values = noise(5000);

  it.each(SIGNS)("equal those of a sort, sign %s", (sign) => {
    const sizes = new Magnitudes(values, sign);
    for (const percent of [0, 0.01, 1, 25, 50, 75.5, 90, 98, 99, 99.97, 100]) {
      expect(sizes.percentile(percent)).toBeCloseTo(sortedPercentile(values, sign, percent), 12);
    }
  });

  it("hold with ties, zeros of both signs and tiny values", () => {
    const odd = Float32Array.of(0, -0, 0, 1e-40, -1e-40, 2, 2, 2, -2, 3e38);
    for (const sign of SIGNS) {
      const sizes = new Magnitudes(odd, sign);
      for (let percent = 0; percent <= 100; percent += 5) {
        const wanted = sortedPercentile(odd, sign, percent);
        expect(Math.abs(sizes.percentile(percent) - wanted)).toBeLessThanOrEqual(wanted * 1e-12);
      }
    }
  });

  it("hold for a view into the middle of a buffer", () => {
    const part = values.subarray(100, 200);
    expect(new Magnitudes(part, "all").percentile(98)).toBeCloseTo(sortedPercentile(part, "all", 98), 12);
  });

  it("leave out what is not finite", () => {
    const dirty = Float32Array.of(NaN, 1, -Infinity, 2, Infinity, -3, NaN);
    const sizes = new Magnitudes(dirty, "all");
    expect(sizes.count).toBe(3);
    expect(sizes.percentile(100)).toBe(3);
    expect(new Magnitudes(dirty, "negative").percentile(100)).toBe(3);
    expect(new Magnitudes(Float32Array.of(NaN, NaN), "all").percentile(50)).toBe(0);
  });

  it("count what lies above a limit, infinities with it but NaN not", () => {
    const sizes = new Magnitudes(Float32Array.of(NaN, 1, -Infinity, 2, 3, -3), "all");
    expect(sizes.above(2)).toBe(3);
    expect(sizes.above(1.9999)).toBe(4);
    expect(sizes.above(2.0001)).toBe(3);
    expect(sizes.above(0)).toBe(5);
    expect(new Magnitudes(Float32Array.of(0.1), "all").above(0.1)).toBe(1); // float32 has no 0.1, only a bit more
    expect(new Magnitudes(Float32Array.of(-5, 1, 2), "positive").above(1)).toBe(1);
  });
});

describe("the scale of a map", () => {
  it("ends at the percentile and tells the share beyond it", () => {
    const values = Float32Array.from({ length: 101 }, (_, i) => i);
    expect(scaleOf(values, "all", 10)).toEqual({ limit: 90, clipped: 10 / 101, sparse: false, held: false });
    expect(scaleOf(values, "all", 0)).toEqual({ limit: 100, clipped: 0, sparse: false, held: false });
  });

  it("is empty for a map of zeros, and for a sign that has no values", () => {
    expect(scaleOf(new Float32Array(9), "all", 2).limit).toBe(0);
    expect(scaleOf(Float32Array.of(1, 2, 0), "negative", 2).limit).toBe(0);
  });

  it("falls back to the largest value when the percentile of a sparse map is zero", () => {
    const values = new Float32Array(1000);
    values[3] = 5;
    expect(scaleOf(values, "all", 2)).toEqual({ limit: 5, clipped: 0, sparse: true, held: false });
  });

  it("ends at the largest value where the rest beyond the percentile is next to all of the map", () => {
    const values = new Float32Array(196);
    values.set([0.3, -4e-4, 0.01]);
    expect(scaleOf(values, "all", 1)).toEqual({ limit: values[0]!, clipped: 0, sparse: true, held: false });
    expect(scaleOf(values, "negative", 0.5).limit).toBe(-values[1]!);
    expect(scaleOf(values, "all", 1, 0.01).limit).toBe(0.01); // one that is held stays
    const even = Float32Array.from({ length: 196 }, (_, i) => (i < 20 ? 1 : i < 40 ? 0.5 : 0));
    expect(scaleOf(even, "all", 15)).toMatchObject({ limit: 0.5, sparse: false }); // two thirds
  });

  it("is worked out once per map, sign and percentile", () => {
    const values = noise(100);
    expect(scaleOf(values, "all", 2)).toBe(scaleOf(values, "all", 2));
    expect(scaleOf(values, "all", 3)).not.toBe(scaleOf(values, "all", 2));
    expect(scaleOf(values, "absolute", 2)).not.toBe(scaleOf(values, "all", 2));
    expect(scaleOf(noise(100, 2), "all", 2)).not.toEqual(scaleOf(values, "all", 2));
  });
});

it("summarises a map, NaN counted apart", () => {
  expect(summary(Float32Array.of(1, NaN, -4, 2))).toEqual({ min: -4, max: 2, sum: -1, peak: 2, nans: 1 });
  expect(summary(Float32Array.of(NaN)).peak).toBe(-1);
});
