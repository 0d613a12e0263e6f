import { describe, expect, it } from "vitest";
import { path } from "../../src/data/messages";
import { at, decodeTable, finalValues, locate, valueAt } from "../../src/data/walk-frames";
import { sampleTraits } from "../support/fake";

const way = path(sampleTraits().path!)!;

describe("places on the path", () => {
  const alphas = [0, 0.1, 0.5, 1];

  it.each([
    [0, 0, 0],
    [0.05, 0, 0.5],
    [0.1, 1, 0],
    [0.3, 1, 0.5],
    [0.75, 2, 0.5],
    [1, 2, 1],
    [-3, 0, 0],
    [7, 2, 1],
    [NaN, 0, 0],
  ])("alpha %f", (alpha, low, share) => {
    const place = locate(alphas, alpha);
    expect(place.low).toBe(low);
    expect(place.share).toBeCloseTo(share);
  });

  it("interpolates a series, and meets its values exactly at the frames", () => {
    const series = [1, 3, 7, 0];
    expect(at(series, locate(alphas, 0.3))).toBeCloseTo(5);
    alphas.forEach((alpha, i) => expect(at(series, locate(alphas, alpha))).toBe(series[i]));
  });
});

describe("companded maps", () => {
  it("decode to scale * sign(q) * (|q| / 127)^2", () => {
    const decode = decodeTable(2);
    expect(decode[0]).toBe(0);
    expect(decode[127]).toBe(2);
    expect(decode[-127 & 255]).toBe(-2);
    expect(decode[64]).toBeCloseTo(2 * (64 / 127) ** 2);
    expect(decode[-64 & 255]).toBeCloseTo(-2 * (64 / 127) ** 2);
  });

  it("bring back what the kernel companded, within half a step", () => {
    const scale = 0.3;
    const decode = decodeTable(scale);
    for (const value of [-0.3, -0.1, -0.001, 0, 0.0004, 0.02, 0.3]) {
      const q = Math.sign(value) * Math.round(127 * Math.sqrt(Math.abs(value) / scale));
      const step = (2 * Math.sqrt(Math.abs(value) * scale)) / 127 + scale / 127 ** 2;
      expect(Math.abs(decode[q & 255]! - value)).toBeLessThanOrEqual(step);
    }
  });

  it("end in the whole attribution", () => {
    expect([...finalValues(way)]).toEqual([-1, 0, 0, 0, 0, 1]);
    expect(finalValues(way)).toBe(finalValues(way));
  });

  it("mix linearly between frames", () => {
    expect(valueAt(way, locate(way.alphas, 0.75), 0)).toBeCloseTo(-0.5);
    expect(valueAt(way, locate(way.alphas, 0.25), 5)).toBeCloseTo(0.5);
    expect(valueAt(way, locate(way.alphas, 1), 0)).toBe(-1);
  });
});
