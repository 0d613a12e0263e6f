/** A small map as it came: 16 bits a value, with a scale of its own. */
import { bytes } from "../lib/binary";
import { memo } from "../lib/memo";
import type { RawSmallMap } from "../state/messages.generated";
import { half } from "./layer-maps";
import { fits, size } from "./messages";

export interface SmallMap {
  readonly w: number;
  readonly h: number;
  readonly values: Float32Array;
}

export const smallMap = memo(({ shape, scale, data }: RawSmallMap): SmallMap | undefined => {
  const dims = size(shape);
  if (!dims) return undefined;
  const all = bytes(data);
  const count = dims.w * dims.h;
  if (!fits("a small map", all.length / 2, count)) return undefined;
  const halves = new DataView(all.buffer, all.byteOffset, all.byteLength);
  const values = Float32Array.from({ length: count }, (_, i) => scale * half(halves.getUint16(2 * i, true)));
  return { ...dims, values };
});
