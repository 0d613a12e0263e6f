import { describe, expect, it, vi } from "vitest";
import { half, layerMaps, mapOf, resize } from "../../src/data/layer-maps";
import { noise } from "../support/fake";
import { halves, sampleLayerMaps } from "../support/layer-traits";

describe("half-precision floats", () => {
  it.each([
    [0, 0],
    [15360, 1],
    [49408, -2.5],
    [31743, 65504],
    [1, 2 ** -24],
    [1023, 1023 * 2 ** -24],
    [31744, Infinity],
    [64512, -Infinity],
    [13652, 0.3330078125],
  ])("%i is %f", (bits, value) => {
    expect(half(bits)).toBe(value);
  });

  it("keep minus zero and NaN", () => {
    expect(half(0x8000)).toBe(-0);
    expect(half(0x7e00)).toBeNaN();
  });
});

describe("a map at another size", () => {
  // What torch.nn.functional.interpolate(mode="bilinear", align_corners=False) gives.
  it.each([
    [
      "larger",
      [2, 3, 4, 5],
      [1, -2, 3, 0.5, 4, -1],
      [1, -0.2, -2, 1, 3, 0.875, 0.325, -0.5, 1, 2, 0.625, 1.375, 2.5, 1, 0, 0.5, 1.9, 4, 1, -1],
    ],
    ["smaller", [4, 4, 2, 2], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], [2.5, 4.5, 10.5, 12.5]],
    ["of one value", [1, 1, 2, 3], [0.5], [0.5, 0.5, 0.5, 0.5, 0.5, 0.5]],
  ])("%s is as torch makes it", (_, [h, w, toH, toW], values, wanted) => {
    const out = resize(Float32Array.from(values), w!, h!, toW!, toH!);
    expect(out).toHaveLength(wanted.length);
    wanted.forEach((value, i) => expect(out[i]).toBeCloseTo(value, 5));
  });

  it("is the same values where the size is the same", () => {
    const values = noise(12);
    expect(resize(values, 4, 3, 4, 3)).toBe(values);
  });
});

describe("the maps of all layers", () => {
  it("come scaled, with title and sum, at the size of the picture", () => {
    const all = layerMaps(sampleLayerMaps())!;
    const conv = mapOf(all, "stem.conv", { w: 3, h: 2 })!;
    expect([...conv.values]).toEqual([-1, -0.5, 0, 0.25, 0.5, 1]);
    expect(conv).toMatchObject({ title: "Grad-CAM at stem.conv for cat", sum: undefined, final: true });
    const act = mapOf(all, "stem.act", { w: 3, h: 2 })!;
    expect([...act.values]).toEqual([2, 0, -2, 2, 0, -2]);
    expect(act.sum).toBe(-3.2);
    expect([...mapOf(all, "stem.act")!.values]).toEqual([2, -2]); // no picture: its own size
    expect(mapOf(all, "fc", { w: 3, h: 2 })).toBeUndefined();
  });

  it("are made once, and not all are kept", () => {
    const names = Array.from({ length: 60 }, (_, i) => `layer${i}`);
    const all = layerMaps({
      names,
      shapes: names.map(() => [1, 1] as const),
      scales: names.map(() => 1),
      maps: halves(...names.map(() => 1)),
    })!;
    const at = (i: number) => mapOf(all, names[i]!, { w: 300, h: 300 })!;
    const first = at(0);
    expect(at(0)).toBe(first);
    for (let i = 1; i < 60; i++) at(i);
    expect(at(59)).toBe(at(59));
    expect(at(0)).not.toBe(first);
  });

  it.each([
    ["no names", { names: undefined }],
    ["a scale too few", { scales: [1, 1] }],
    [
      "a shape too many",
      {
        shapes: [
          [1, 1],
          [2, 3],
          [1, 2],
          [1, 1],
        ],
      },
    ],
    [
      "a shape of nothing",
      {
        shapes: [
          [1, 1],
          [2, 3],
          [0, 2],
        ],
      },
    ],
    ["a value too few", { maps: halves(1, -1, -0.5, 0, 0.25, 0.5, 1, 0.5) }],
    ["nothing at all", { names: undefined, maps: undefined }],
  ] as const)("with %s count as not there", (_, change) => {
    vi.spyOn(console, "warn").mockImplementation(() => undefined);
    expect(layerMaps(sampleLayerMaps(change as never))).toBeUndefined();
  });
});
