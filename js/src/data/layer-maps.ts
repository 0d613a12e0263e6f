/** The maps of all layers, as they came in one piece: so that scrubbing through them asks nobody. */
import { bytes } from "../lib/binary";
import { memo } from "../lib/memo";
import type { Quantity, RawLayerMaps, Request } from "../state/messages.generated";
import { fits, type Heat, size } from "./messages";

interface LayerMap {
  readonly w: number;
  readonly h: number;
  /** In the bytes of all maps. */
  readonly first: number;
  readonly scale: number;
  readonly sum: number | undefined;
}

export interface LayerMaps {
  readonly maps: ReadonlyMap<string, LayerMap>;
  readonly halves: DataView;
  readonly title: readonly [string, string];
  readonly request: Request;
  readonly final: boolean;
  readonly quantity: Quantity | undefined;
  readonly unit: string;
}

export const layerMaps = memo((raw: RawLayerMaps): LayerMaps | undefined => {
  const { names, shapes, scales, sums = [], maps: data } = raw;
  if (!names || !shapes || !scales || !data) return undefined;
  const what = "the layers' maps:";
  if (!fits(`${what} shapes`, shapes.length, names.length)) return undefined;
  if (!fits(`${what} scales`, scales.length, names.length)) return undefined;
  const maps = new Map<string, LayerMap>();
  let first = 0;
  for (const [i, name] of names.entries()) {
    const dims = size(shapes[i]);
    if (!dims) return undefined;
    maps.set(name, { ...dims, first, scale: scales[i]!, sum: sums[i] ?? undefined });
    first += dims.w * dims.h * 2;
  }
  const all = bytes(data);
  if (!fits("what came as the layers' maps", all.length / 2, first / 2)) return undefined;
  return {
    maps,
    halves: new DataView(all.buffer, all.byteOffset, all.byteLength),
    title: raw.title ?? ["", ""],
    request: raw.request ?? {},
    final: raw.final ?? true,
    quantity: raw.quantity,
    unit: raw.unit ?? "",
  };
});

/** For each exponent of a float16 what its last bit is worth. */
const STEPS = Float64Array.from({ length: 32 }, (_, exponent) => 2 ** (Math.max(1, exponent) - 25));

/** The number that the 16 bits of a half-precision float stand for. */
export function half(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const size =
    exponent === 31
      ? fraction
        ? NaN
        : Infinity
      : (exponent ? 1024 + fraction : fraction) * STEPS[exponent]!;
  return bits & 0x8000 ? -size : size;
}

function decode({ halves }: LayerMaps, { first, w, h, scale }: LayerMap): Float32Array {
  const values = new Float32Array(w * h);
  for (let i = 0; i < values.length; i++) values[i] = scale * half(halves.getUint16(first + 2 * i, true));
  return values;
}

/** For each of `to` pixels, the two of `from` that it lies between, and how near it is to the second. */
function between(from: number, to: number): { low: Int32Array; high: Int32Array; share: Float32Array } {
  const low = new Int32Array(to);
  const high = new Int32Array(to);
  const share = new Float32Array(to);
  for (let i = 0; i < to; i++) {
    const at = Math.max(0, ((i + 0.5) * from) / to - 0.5);
    low[i] = Math.min(from - 1, Math.floor(at));
    high[i] = Math.min(from - 1, low[i]! + 1);
    share[i] = at - low[i]!;
  }
  return { low, high, share };
}

/** A map at another size, as torch's interpolate(mode="bilinear", align_corners=False) makes it. */
export function resize(values: Float32Array, w: number, h: number, toW: number, toH: number): Float32Array {
  if (w === toW && h === toH) return values;
  const x = between(w, toW);
  const y = between(h, toH);
  const out = new Float32Array(toW * toH);
  const row = new Float32Array(w);
  for (let j = 0; j < toH; j++) {
    const upper = y.low[j]! * w;
    const lower = y.high[j]! * w;
    const down = y.share[j]!;
    for (let i = 0; i < w; i++) row[i] = values[upper + i]! * (1 - down) + values[lower + i]! * down;
    for (let i = 0; i < toW; i++) {
      const right = x.share[i]!;
      out[j * toW + i] = row[x.low[i]!]! * (1 - right) + row[x.high[i]!]! * right;
    }
  }
  return out;
}

/** Maps at the size of the picture, as many as make up so many values: 80 of 224 by 224. */
const KEPT_VALUES = 4_000_000;
const kept: (of: LayerMaps) => Map<string, Heat> = memo(() => new Map());

/** The map of a layer at the size of the picture, or at its own where there is none; undefined when it has no map. */
export function mapOf(of: LayerMaps, name: string, picture?: { w: number; h: number }): Heat | undefined {
  const map = of.maps.get(name);
  if (!map) return undefined;
  const { w, h } = picture ?? map;
  const key = `${w} ${h} ${name}`;
  const known = kept(of);
  const heat = known.get(key) ?? {
    w,
    h,
    values: resize(decode(of, map), map.w, map.h, w, h),
    title: of.title[0] + (name || "the model") + of.title[1],
    request: of.request,
    final: of.final,
    sum: map.sum,
    gap: undefined,
    preview: false,
    error: undefined,
    relativeError: undefined,
    evaluations: undefined,
    refinable: false,
    changed: false,
    pixels: 1,
    summable: false,
    tellsWorth: false,
    compares: true,
    quantity: of.quantity,
    unit: of.unit,
    output: undefined,
  };
  known.delete(key);
  known.set(key, heat); // the latest stands last
  if (known.size > Math.max(2, KEPT_VALUES / (w * h))) known.delete(known.keys().next().value!);
  return heat;
}
