import { describe, expect, it } from "vitest";
import {
  aloneTable,
  chooseLut,
  colourTable,
  GROUND,
  legendStrip,
  lutIndex,
  pixelAlpha,
  STEPS,
  TABLE_LENGTH,
  transform,
} from "../../src/data/colour-tables";
import { lut } from "../../src/data/messages";
import { paintBetween, paintValues } from "../../src/data/painting";
import { decodeTable } from "../../src/data/walk-frames";
import { noise, sampleTraits } from "../support/fake";

const luts = sampleTraits().luts!;
const diverging = lut(luts.div!)!; // blue to red
const sequential = lut(luts.seq!)!; // black to white

const red = (pixel: number): number => pixel & 255;
const blue = (pixel: number): number => (pixel >>> 16) & 255;
const alpha = (pixel: number): number => pixel >>> 24;

describe("transform by sign", () => {
  it.each([
    ["all", [-2, 0, 3]],
    ["positive", [0, 0, 3]],
    ["negative", [2, 0, 0]],
    ["absolute", [2, 0, 3]],
  ] as const)("%s", (sign, wanted) => {
    expect([-2, 0, 3].map((v) => transform(v, sign) + 0)).toEqual(wanted);
  });
});

describe("opacity of a pixel", () => {
  it("shows the picture alone at 0 and the map alone at 1", () => {
    for (const t of [0, 0.3, 0.6, 1, 5]) {
      expect(pixelAlpha(t, 0)).toBe(0);
      expect(pixelAlpha(t, 1)).toBe(1);
    }
  });

  it("lets faint values through and covers strong ones", () => {
    expect(pixelAlpha(0, 0.6)).toBe(0);
    expect(pixelAlpha(0.3, 0.6)).toBeCloseTo(0.96 / 2);
    expect(pixelAlpha(0.6, 0.6)).toBeCloseTo(0.96);
    expect(pixelAlpha(1, 0.6)).toBeCloseTo(0.96);
    expect(pixelAlpha(1, 0.25)).toBeCloseTo(0.4);
    expect(pixelAlpha(0, 0.8)).toBeCloseTo(0.5);
  });
});

describe("index into the colours", () => {
  it("spreads signed values over all colours", () => {
    for (const kind of ["diverging", "sequential"] as const) {
      expect([-1, 0, 1].map((t) => lutIndex(t, kind, "all"))).toEqual([0, 128, 255]);
    }
  });

  it("gives one-sided values the upper half of a diverging map, and all of a sequential one", () => {
    expect([0, 1].map((t) => lutIndex(t, "diverging", "positive"))).toEqual([128, 255]);
    expect([0, 1].map((t) => lutIndex(t, "sequential", "negative"))).toEqual([0, 255]);
  });

  it("stays inside", () => {
    expect(lutIndex(-7, "sequential", "all")).toBe(0);
    expect(lutIndex(7, "diverging", "absolute")).toBe(255);
  });
});

describe("the colour table", () => {
  it("has low, zero and high where they belong", () => {
    const table = colourTable(diverging, "all", 1);
    expect(table).toHaveLength(TABLE_LENGTH);
    expect([red(table[1]!), blue(table[1]!)]).toEqual([0, 255]);
    expect([red(table[STEPS]!), blue(table[STEPS]!)]).toEqual([255, 0]);
    expect(red(table[1 + (STEPS - 1) / 2]!)).toBe(128);
  });

  it("draws nothing for NaN even when it draws everything else", () => {
    expect(colourTable(diverging, "all", 1)[0]).toBe(0);
  });

  it("is a mirror image for absolute values", () => {
    const table = colourTable(sequential, "absolute", 0.5);
    for (const step of [0, 10, 300]) expect(table[1 + step]).toBe(table[STEPS - step]);
  });

  it("lets the other sign vanish", () => {
    const positive = colourTable(sequential, "positive", 0.5);
    expect(alpha(positive[1]!)).toBe(0);
    expect(alpha(positive[STEPS]!)).toBe(Math.round(0.8 * 255));
    const negative = colourTable(sequential, "negative", 0.5);
    expect(alpha(negative[STEPS]!)).toBe(0);
    expect(red(negative[1]!)).toBe(255);
  });
});

describe("the colours of a map that stands alone", () => {
  /** As RdBu: dark at both ends, and almost white at zero. */
  const white = {
    label: "",
    kind: "diverging" as const,
    rgb: Uint8Array.from({ length: 768 }, (_, i) =>
      Math.round(247 - 200 * Math.abs(Math.floor(i / 3) / 127.5 - 1)),
    ),
  };
  const zero = (STEPS - 1) / 2 + 1;

  it("have the ground at zero where that were the lightest of them", () => {
    const table = aloneTable(white, "all");
    expect([red(table[zero]!), alpha(table[zero]!)]).toEqual([GROUND, 255]);
    expect([red(table[1]!), red(table[STEPS]!)].every((end) => Math.abs(end - 47) < 5)).toBe(true);
    expect(alpha(table[0]!)).toBe(0); // NaN is no number
  });

  it("are the colour map's own where zero is none of the light ones, or not the lightest", () => {
    for (const one of [sequential, diverging]) {
      expect(aloneTable(one, "positive")).toEqual(colourTable(one, "positive", 1));
    }
  });
});

describe("painting values", () => {
  const table = Uint32Array.from({ length: TABLE_LENGTH }, (_, i) => i); // entries show themselves
  const paint = (values: readonly number[], limit: number): number[] => {
    const out = new Uint32Array(values.length).fill(99);
    paintValues(Float32Array.from(values), limit, table, out);
    return [...out];
  };
  const middle = 1 + (STEPS - 1) / 2;

  it("finds the entries of the ends, of zero, and of what lies beyond", () => {
    expect(paint([-2, 0, 2], 2)).toEqual([1, middle, STEPS]);
    expect(paint([-9, 9, Infinity, -Infinity], 2)).toEqual([1, STEPS, STEPS, 1]);
  });

  it("draws NaN as nothing", () => {
    expect(paint([NaN, 1], 1)).toEqual([0, STEPS]);
  });

  it("draws nothing at all without a scale", () => {
    expect(paint([0, 0, NaN], 0)).toEqual([0, 0, 0]);
    expect(paint([1, 2], NaN)).toEqual([0, 0]);
  });

  it("resolves small steps", () => {
    const [a, b] = paint([0, 2 / (STEPS - 1)], 1);
    expect(b! - a!).toBe(1);
  });

  it("paints between two frames what it paints for their mean values", () => {
    const count = 400;
    const codes = Uint8Array.from(noise(count * 2), (v) => Math.round(v * 127) & 255);
    const decode = decodeTable(0.5);
    const out = new Uint32Array(count);
    for (const share of [0, 0.25, 0.9, 1]) {
      paintBetween(codes, 0, count, share, decode, 0.3, table, out);
      for (let i = 0; i < count; i++) {
        const value = decode[codes[i]!]! * (1 - share) + decode[codes[count + i]!]! * share;
        const [wanted] = paint([value], 0.3);
        expect(Math.abs(out[i]! - wanted!)).toBeLessThanOrEqual(1); // a value on the edge of two entries
      }
    }
    paintBetween(codes, 0, count, 0.5, decode, 0, table, out);
    expect(out.every((pixel) => pixel === 0)).toBe(true);
  });
});

describe("the legend's colours", () => {
  it("are those of the map over a mid grey", () => {
    const opaque = legendStrip(colourTable(diverging, "all", 1), "all", 3);
    expect([red(opaque[0]!), blue(opaque[0]!)]).toEqual([0, 255]);
    expect([red(opaque[2]!), blue(opaque[2]!)]).toEqual([255, 0]);
    const faint = legendStrip(colourTable(diverging, "all", 0.25), "all", 3);
    expect(red(faint[1]!)).toBe(128); // nothing is drawn at zero: the grey itself
    expect(red(faint[2]!)).toBe(Math.round(128 + (255 - 128) * (102 / 255)));
    expect(alpha(faint[1]!)).toBe(255);
  });

  it("run from zero to the limit for one-sided signs", () => {
    for (const sign of ["positive", "negative", "absolute"] as const) {
      const strip = legendStrip(colourTable(sequential, sign, 1), sign, 3);
      expect(red(strip[0]!)).toBe(0);
      expect(Math.abs(red(strip[1]!) - 127.5)).toBeLessThan(1);
      expect(red(strip[2]!)).toBe(255);
    }
  });
});

describe("the choice of a colour map", () => {
  it("is automatic by sign", () => {
    expect(chooseLut(luts, "auto", "all")?.name).toBe("div");
    expect(chooseLut(luts, "auto", "positive")?.name).toBe("seq");
  });

  it("takes the named one, and the automatic one for a name it does not know", () => {
    expect(chooseLut(luts, "seq", "all")?.name).toBe("seq");
    expect(chooseLut(luts, "toString", "all")?.name).toBe("div");
  });

  it("makes do with what there is", () => {
    expect(chooseLut({ seq: luts.seq! }, "auto", "all")?.name).toBe("seq");
    expect(chooseLut({}, "auto", "all")).toBeUndefined();
  });
});
