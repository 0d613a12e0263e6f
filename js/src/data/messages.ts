/** From binary traits to typed arrays. What is malformed counts as not there. */
import { bytes, floats } from "../lib/binary";
import type { RgbImage } from "../lib/canvas";
import { memo } from "../lib/memo";
import type {
  ClassInfo,
  LutKind,
  Quantity,
  RawHeat,
  RawLut,
  RawCloseUp,
  RawPath,
  RawPicture,
  Request,
  Target,
} from "../state/messages.generated";

/** Its size is that of the picture itself, by which places in it are told; what came may be coarser. */
export interface Picture {
  readonly w: number;
  readonly h: number;
  readonly image: RgbImage;
}

/** A part of the picture, finer than the whole came: the box x0, y0, x1, y1 of its pixels. */
export interface CloseUp {
  readonly box: readonly [number, number, number, number];
  readonly image: RgbImage;
}

export interface Lut {
  readonly label: string;
  readonly kind: LutKind;
  /** 256*3, RGB */
  readonly rgb: Uint8Array;
}

export interface Heat {
  readonly w: number;
  readonly h: number;
  readonly values: Float32Array;
  readonly title: string;
  readonly request: Request;
  readonly final: boolean;
  readonly sum: number | undefined;
  readonly gap: number | undefined;
  /** A quick first look: one backward pass instead of the chosen method. */
  readonly preview: boolean;
  /** The largest standard error of a value, in the output's units. */
  readonly error: number | undefined;
  /** Root mean square of the errors over that of the map. */
  readonly relativeError: number | undefined;
  /** How many rows the model was run on. */
  readonly evaluations: number | undefined;
  /** More spending would make the estimate better. */
  readonly refinable: boolean;
  /** The model's weights changed while this was computed. */
  readonly changed: boolean;
  /** How many pixels of the input each number stands for. */
  readonly pixels: number;
  /** Numbers beside each other may be added up. */
  readonly summable: boolean;
  readonly quantity: Quantity | undefined;
  /** Whether the sum over a region is what the map says that is worth. */
  readonly tellsWorth: boolean;
  /** Whether the method explains the change from a baseline, and not the output itself. */
  readonly compares: boolean;
  /** What the numbers are, in words; empty where that is not known. */
  readonly unit: string;
  /** The explained number at the input. */
  readonly output: number | undefined;
}

export interface Path {
  readonly w: number;
  readonly h: number;
  readonly alphas: readonly number[];
  readonly scores: readonly number[];
  /** The sum of what has been attributed up to each frame. */
  readonly totals: readonly number[];
  readonly classes: readonly ClassInfo[];
  readonly probabilities: readonly (readonly number[])[];
  /** K*h*w companded values as unsigned bytes of a signed q: value = scale * sign(q) * (|q| / 127)^2 */
  readonly codes: Uint8Array;
  readonly scale: number;
  readonly title: string;
  readonly targetLabel: string;
  readonly pixels: number;
  readonly unit: string;
  readonly request: Request;
}

export function size(shape: readonly [number, number] | undefined): { w: number; h: number } | undefined {
  const [h, w] = shape ?? [0, 0];
  return Number.isInteger(w) && Number.isInteger(h) && w > 0 && h > 0 ? { w, h } : undefined;
}

/** Data of the wrong size is the kernel's mistake: nothing is drawn, and whoever looks is told. */
export function fits(what: string, got: number, wanted: number): boolean {
  if (got === wanted) return true;
  console.warn(`attriscope: ${what} holds ${got} values where its shape asks for ${wanted}; it is not shown`);
  return false;
}

const numeric = (value: number | null | undefined): number | undefined =>
  typeof value === "number" ? value : undefined;

export const picture = memo((raw: RawPicture): Picture | undefined => {
  const dims = size(raw.shape);
  if (!dims || !raw.data) return undefined;
  const rgb = bytes(raw.data);
  if (!fits("a picture", rgb.length, dims.w * dims.h * 3)) return undefined;
  return { ...(size(raw.full) ?? dims), image: { ...dims, rgb } };
});

export const closeUp = memo((raw: RawCloseUp): CloseUp | undefined => {
  const dims = size(raw.shape);
  const [x0, y0, x1, y1] = raw.box ?? [];
  if (!dims || !raw.data || x0 === undefined || y0 === undefined || x1 === undefined || y1 === undefined) {
    return undefined;
  }
  const rgb = bytes(raw.data);
  if (!fits("a close-up", rgb.length, dims.w * dims.h * 3)) return undefined;
  return { box: [x0, y0, x1, y1], image: { ...dims, rgb } };
});

export const lut = memo((raw: RawLut): Lut | undefined => {
  const rgb = bytes(raw.data);
  const { label, kind } = raw;
  return fits(`the colour map ${label}`, rgb.length, 256 * 3) ? { label, kind, rgb } : undefined;
});

export const heat = memo((raw: RawHeat): Heat | undefined => {
  const dims = size(raw.shape);
  if (!dims || !raw.data) return undefined;
  const values = floats(raw.data);
  if (!fits("a heat map", values.length, dims.w * dims.h)) return undefined;
  return {
    ...dims,
    values,
    title: raw.title ?? "",
    request: raw.request ?? {},
    final: raw.final ?? true,
    sum: numeric(raw.sum),
    gap: numeric(raw.gap),
    preview: raw.preview ?? false,
    error: numeric(raw.error),
    relativeError: numeric(raw.relative_error),
    evaluations: numeric(raw.evaluations),
    refinable: raw.refinable ?? false,
    changed: raw.changed ?? false,
    pixels: raw.pixels ?? 1,
    summable: raw.summable ?? false,
    quantity: raw.quantity,
    tellsWorth: raw.tells_worth === true,
    compares: raw.compares !== false,
    unit: raw.unit ?? "",
    output: numeric(raw.output),
  };
});

export const path = memo((raw: RawPath): Path | undefined => {
  const dims = size(raw.shape);
  const { alphas, scores, totals, maps: data, scale } = raw;
  if (!dims || !alphas || !scores || !totals || !data || scale === undefined) return undefined;
  const codes = bytes(data);
  const count = alphas.length;
  if (count < 2 || !fits("the path's scores", scores.length, count)) return undefined;
  if (!fits("the path's totals", totals.length, count)) return undefined;
  if (!fits("the path", codes.length, count * dims.w * dims.h)) return undefined;
  return {
    ...dims,
    alphas,
    scores,
    totals,
    codes,
    scale,
    classes: raw.classes ?? [],
    probabilities: (raw.probabilities ?? []).map((one) => one.map((share) => share ?? NaN)),
    title: raw.title ?? "",
    targetLabel: raw.target_label ?? "",
    pixels: raw.pixels ?? 1,
    unit: raw.unit ?? "",
    request: raw.request ?? {},
  };
});

/** One index of a target, or undefined when it names no single output class. */
export function singleIndex(target: Target | undefined): number | undefined {
  if (typeof target === "number") return target;
  return typeof target === "object" && target?.length === 1 ? target[0] : undefined;
}
