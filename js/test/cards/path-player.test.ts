import { describe, expect, it } from "vitest";
import { walkPosition } from "../../src/cards/path-player";

describe("the walk by itself", () => {
  it("takes two and a half seconds for the whole way", () => {
    expect(walkPosition(0, 0, false)).toBe(0);
    expect(walkPosition(0, 1250, false)).toBeCloseTo(0.5);
    expect(walkPosition(0.6, 500, false)).toBeCloseTo(0.8);
    expect(walkPosition(0, 9999, false)).toBe(1);
  });

  it("is a few still pictures when motion is not wanted", () => {
    const seen = new Set<number>();
    for (let time = 0; time <= 2500; time += 10) seen.add(walkPosition(0, time, true));
    expect([...seen]).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
  });
});
