/**
 * Colours of a map. Everything a value's colour depends on (colour map, sign, opacity) goes into one table of
 * packed RGBA pixels, so that restyling a map of any size is one lookup per pixel (see painting.ts).
 */
import type { LutKind, Mode, RawLut, Sign } from "../state/messages.generated";
import { type Lut, lut as decodeLut } from "./messages";

/** Steps of the table from -limit to limit; odd, so that zero has a step of its own. */
export const STEPS = 1023;
/** Entry 0 of a table is for NaN and draws nothing; the steps follow from entry 1. */
export const TABLE_LENGTH = STEPS + 1;

/** What is shown of a value. */
export function transform(value: number, sign: Sign): number {
  switch (sign) {
    case "positive":
      return Math.max(value, 0);
    case "negative":
      return Math.max(-value, 0);
    case "absolute":
      return Math.abs(value);
    case "all":
      return value;
  }
}

/** The opacity of a pixel whose size is `t` of the scale: faint values let the picture through, strong ones cover it. */
export function pixelAlpha(t: number, opacity: number): number {
  const x = Math.min(1, Math.max(0, t / 0.6));
  const ramp = x * x * (3 - 2 * x);
  const peak = Math.min(1, 1.6 * opacity);
  const floor = Math.max(0, (opacity - 0.6) / 0.4);
  return floor + (peak - floor) * ramp;
}

/** Which of the 256 colours a transformed value `t` (in units of the limit) takes. */
export function lutIndex(t: number, kind: LutKind, sign: Sign): number {
  const oneSided = sign !== "all";
  const place = oneSided && kind === "sequential" ? t : (t + 1) / 2;
  return Math.min(255, Math.max(0, Math.round(place * 255)));
}

/** A colour as a pixel. */
export function pack(r: number, g: number, b: number, a: number): number {
  return ((a << 24) | (b << 16) | (g << 8) | r) >>> 0; // ImageData is RGBA in memory, read little-endian
}

export function colourTable(lut: Lut, sign: Sign, opacity: number): Uint32Array {
  const table = new Uint32Array(TABLE_LENGTH);
  for (let step = 0; step < STEPS; step++) {
    const t = transform((step / (STEPS - 1)) * 2 - 1, sign);
    const i = lutIndex(t, lut.kind, sign) * 3;
    const alpha = Math.round(pixelAlpha(Math.abs(t), opacity) * 255);
    table[step + 1] = pack(lut.rgb[i]!, lut.rgb[i + 1]!, lut.rgb[i + 2]!, alpha);
  }
  return table;
}

/** What lies below a map that stands alone, and over the hidden part of a masked picture: neither light nor dark. */
export const GROUND = 128;
/** The opacity over the ground of a map that stands alone: what is zero is the ground, what is strong covers it. */
const ALONE = 0.6;
/** What stands for the picture in the legend of the mask. */
const PICTURE = 240;

/** How much of the picture is seen where a value's size is `t` of the scale. */
export function maskShare(t: number): number {
  const x = Math.min(1, Math.max(0, t));
  return x * x * (3 - 2 * x);
}

/** The pixels that hide the picture where the values are small; NaN, in entry 0, hides it too. */
export function maskTable(sign: Sign): Uint32Array {
  const table = new Uint32Array(TABLE_LENGTH).fill(pack(GROUND, GROUND, GROUND, 255));
  for (let step = 0; step < STEPS; step++) {
    const t = transform((step / (STEPS - 1)) * 2 - 1, sign);
    table[step + 1] = pack(GROUND, GROUND, GROUND, Math.round((1 - maskShare(Math.abs(t))) * 255));
  }
  return table;
}

/** Colours differ by rounding between the two steps around the middle of a colour map. */
const ROUNDING = 12;

/** Whether zero is the lightest of the colours: on a dark page it would be the first thing to be seen. */
function zeroIsLightest({ rgb, kind }: Lut, sign: Sign): boolean {
  const light = (i: number): number => rgb[3 * i]! + rgb[3 * i + 1]! + rgb[3 * i + 2]!;
  const zero = light(lutIndex(0, kind, sign));
  return (
    zero > 3 * GROUND &&
    Array.from({ length: 256 }, (_, i) => light(i)).every((one) => one <= zero + ROUNDING)
  );
}

/** The opaque colours of a map that stands alone. Where zero were the lightest of them it is the ground instead. */
export function aloneTable(lut: Lut, sign: Sign): Uint32Array {
  if (!zeroIsLightest(lut, sign)) return colourTable(lut, sign, 1);
  const table = colourTable(lut, sign, ALONE);
  for (let i = 1; i < TABLE_LENGTH; i++) table[i] = overGround(table[i]!, GROUND);
  return table;
}

/** A pixel as it looks over a grey. */
function overGround(pixel: number, ground: number): number {
  const a = (pixel >>> 24) / 255;
  const over = (channel: number): number => Math.round(ground + (channel - ground) * a);
  return pack(over(pixel & 255), over((pixel >>> 8) & 255), over((pixel >>> 16) & 255), 255);
}

/** The colours of a mode. Only over the picture does the opacity matter; a map alone is opaque. */
export function modeTable(mode: Mode, lut: Lut, sign: Sign, opacity: number): Uint32Array {
  if (mode === "masked") return maskTable(sign);
  return mode === "blended" ? colourTable(lut, sign, opacity) : aloneTable(lut, sign);
}

/** The colours of the legend from low to high as opaque pixels: the table as it looks over a mid grey. */
export function legendStrip(
  table: Uint32Array,
  sign: Sign,
  length: number,
  mode: Mode = "blended",
): Uint32Array {
  const below = mode === "masked" ? PICTURE : GROUND;
  const strip = new Uint32Array(length);
  for (let i = 0; i < length; i++) {
    const share = length > 1 ? i / (length - 1) : 1;
    const value = sign === "all" ? share * 2 - 1 : sign === "negative" ? -share : share;
    const pixel = table[1 + Math.round(((value + 1) / 2) * (STEPS - 1))]!;
    strip[i] = overGround(pixel, below);
  }
  return strip;
}

export interface ChosenLut {
  readonly name: string;
  readonly lut: Lut;
}

/** The colour map to draw with: the named one, or for "auto" (and unknown names) the first that suits the sign. */
export function chooseLut(
  luts: Readonly<Record<string, RawLut>>,
  colormap: string,
  sign: Sign,
): ChosenLut | undefined {
  const named = Object.hasOwn(luts, colormap) ? decodeLut(luts[colormap]!) : undefined;
  if (named) return { name: colormap, lut: named };
  const wanted: LutKind = sign === "all" ? "diverging" : "sequential";
  const usable = Object.entries(luts).flatMap(([name, raw]) => {
    const lut = decodeLut(raw);
    return lut ? [{ name, lut }] : [];
  });
  return usable.find(({ lut }) => lut.kind === wanted) ?? usable[0];
}
