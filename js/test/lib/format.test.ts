import { describe, expect, it } from "vitest";
import * as format from "../../src/lib/format";
import { barSpan } from "../../src/lib/bars";
import { niceTicks, paddedRange, polyline } from "../../src/lib/chart";

describe("numbers", () => {
  it.each([
    [0, "0"],
    [-0, "0"],
    [9.2146, "9.21"],
    [-0.03127, "−0.0313"],
    [1234.5, "1235"],
    [0.00012, "1.2e−4"],
    [-123456, "−1.2e5"],
    [NaN, "NaN"],
    [Infinity, "∞"],
    [-Infinity, "−∞"],
  ])("%f", (value, text) => {
    expect(format.number(value)).toBe(text);
  });

  it("carry a sign where asked", () => {
    expect(format.signed(1.5)).toBe("+1.50");
    expect(format.signed(-1.5)).toBe("−1.50");
    expect(format.signed(0)).toBe("0");
  });

  it("align below one another", () => {
    expect(format.aligned([3.2, 0.4, -2.6])).toEqual(["3.20", "0.40", "−2.60"]);
    expect(format.aligned([120, 5])).toEqual(["120", "5"]);
    expect(format.aligned([NaN, 1])).toEqual(["NaN", "1.00"]);
    expect(format.aligned([1e-9, 0])).toEqual(["1.0e−9", "0"]);
    expect(format.aligned([])).toEqual([]);
  });

  it("as percentages never hide something behind 0.0%", () => {
    expect([0, 0.0001, 0.0005, 0.385, 1].map(format.percent)).toEqual([
      "0.0%",
      "<0.1%",
      "0.1%",
      "38.5%",
      "100.0%",
    ]);
  });

  it("as counts and shapes", () => {
    expect([0, 864, 1000, 30_700, 307_000, 4_652_008, 7e9].map(format.count)).toEqual([
      "0",
      "864",
      "1.00 k",
      "30.7 k",
      "307 k",
      "4.65 M",
      "7.00 G",
    ]);
    expect(format.shape([32, 7, 7])).toBe("32 × 7 × 7");
    expect(format.shape([])).toBe("scalar");
  });
});

describe("the chart", () => {
  it("has round ticks inside its range", () => {
    expect(niceTicks({ low: -0.3, high: 11.9 })).toEqual([0, 5, 10]);
    expect(niceTicks({ low: 0.02, high: 0.38 })).toEqual([0.1, 0.2, 0.3]);
    expect(niceTicks({ low: -3e-7, high: 3e-7 })).toEqual([-2e-7, 0, 2e-7]);
  });

  it("has a range even for a flat curve", () => {
    for (const values of [[5, 5], [0], [-1e-30, -1e-30]]) {
      const { low, high } = paddedRange(values);
      expect(low).toBeLessThan(Math.min(...values));
      expect(high).toBeGreaterThan(Math.max(...values));
    }
  });

  it("leaves out what is not a number", () => {
    expect(polyline([0, 0.5, 1], [0, NaN, 10], { low: 0, high: 10 })).toBe("0.0000,1.0000 1.0000,0.0000");
  });
});

describe("bars", () => {
  it("start at zero, on either side of it", () => {
    expect(barSpan(0.25, 0, 1)).toEqual({ from: 0, to: 0.25 });
    expect(barSpan(-1, -1, 3)).toEqual({ from: 0, to: 0.25 });
    expect(barSpan(3, -1, 3)).toEqual({ from: 0.25, to: 1 });
  });

  it("are empty for what has no size", () => {
    expect(barSpan(NaN, 0, 1)).toEqual({ from: 0, to: 0 });
    expect(barSpan(0, 0, 0)).toEqual({ from: 0, to: 0 });
  });
});

describe("ticks", () => {
  it.each([
    [
      [12.34, 12.345, 12.35],
      ["12.34", "12.345", "12.35"],
    ],
    [
      [-0.5, 0, 0.5],
      ["−0.5", "0", "0.5"],
    ],
    [
      [0.25, 0.5, 0.75],
      ["0.25", "0.5", "0.75"],
    ],
    [
      [1000.5, 1001, 1001.5],
      ["1000.5", "1001", "1001.5"],
    ],
    [
      [100000, 100001, 100002],
      ["1e5", "1.00001e5", "1.00002e5"],
    ],
    [
      [-2e-6, 0, 2e-6],
      ["−2e−6", "0", "2e−6"],
    ],
    [[7], ["7"]],
    [[], []],
  ])("of %j are told apart", (ticks, texts) => {
    expect(format.tickTexts(ticks)).toEqual(texts);
  });

  it.each([
    [0, 1],
    [3.999, 4.0005],
    [-1e-7, 3e-7],
    [99999, 100003],
    [12.3412, 12.3415],
    [1e8, 1.00001e8],
  ])("from %d to %d never read the same", (low, high) => {
    const texts = format.tickTexts(niceTicks(paddedRange([low, high])));
    expect(texts.length).toBeGreaterThan(1);
    expect(new Set(texts).size).toBe(texts.length);
  });

  it("are not set between numbers that differ by rounding alone", () => {
    const { low, high } = paddedRange([5.0000001, 5]);
    expect(low).toBeLessThan(4.6);
    expect(high).toBeGreaterThan(5.4);
  });
});
