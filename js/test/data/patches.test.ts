/** The patches of the examples, from the wire. */
import { describe, expect, it, vi } from "vitest";
import { patches, patchText } from "../../src/data/patches";
import { patchesOf } from "../support/inside-traits";

describe("patches", () => {
  it("are cut one after the other, in the order of the channels", () => {
    const found = patches(patchesOf({ 7: [3, 2], 1: [], 4: [1] }))!;
    // An object's own keys are in order of size.
    expect([...found.of.keys()]).toEqual([1, 4, 7]);
    const starts = [...found.of.values()].flat().map(({ image }) => image.rgb[0]);
    expect(starts).toEqual([0, 12, 24]);
    expect(found.of.get(7)!.map(({ value }) => value)).toEqual([3, 2]);
    expect(found.of.get(7)![0]!.image).toMatchObject({ w: 2, h: 2 });
    expect(found.examples).toBe(5);
  });

  it("are none where they are malformed, or not there", () => {
    vi.spyOn(console, "warn").mockImplementation(() => undefined);
    expect(patches({})).toBeUndefined();
    expect(patches(patchesOf({ 1: [1] }, { shape: [3, 2] }))).toBeUndefined();
    expect(patches(patchesOf({ 1: [1] }, { channels: [1, 2] }))).toBeUndefined();
    expect(console.warn).toHaveBeenCalledTimes(2);
  });

  it("are told by the example, or the place where there is one example", () => {
    const patch = { example: 2, place: [4, 9] as const, value: 7.914 };
    expect(patchText(patch, 5)).toBe("example 3 (7.91)");
    expect(patchText({ ...patch, example: 0 }, 1)).toBe("row 4, column 9 (7.91)");
    expect(patchText({ ...patch, place: null, value: null }, 5)).toBe("example 3 (unknown)");
  });
});
