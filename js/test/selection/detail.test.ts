/** Which sides of blocks there are, and which is taken where nobody has chosen. */
import { describe, expect, it } from "vitest";
import { automaticSide, inNumbers, sidesFor } from "../../src/selection/detail";

describe("the sides of blocks", () => {
  it("leave at least three blocks along the shorter side", () => {
    expect(sidesFor(28)).toEqual([1, 2, 3, 4, 6, 8]);
    expect(sidesFor(224).at(-1)).toBe(64);
    expect(sidesFor(2)).toEqual([1]);
  });

  it("make regions of large pictures and leave small ones as they are", () => {
    expect([1, 28, 64].map(automaticSide)).toEqual([1, 1, 1]);
    expect(automaticSide(224)).toBe(16);
    expect(automaticSide(2000)).toBe(128);
  });

  it("count numbers where each stands for several pixels", () => {
    expect(inNumbers(16, 1)).toBe(16);
    expect(inNumbers(16, 4)).toBe(8);
    expect(inNumbers(1, 9)).toBe(1);
  });
});
