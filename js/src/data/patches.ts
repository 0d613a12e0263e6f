/** The parts of the examples that excite channels most, from the wire. */
import { bytes } from "../lib/binary";
import type { RgbImage } from "../lib/canvas";
import { number } from "../lib/format";
import { memo } from "../lib/memo";
import type { Patch, RawPatches, Request } from "../state/messages.generated";
import { fits, size } from "./messages";

export interface SeenPatch extends Patch {
  readonly image: RgbImage;
}

export interface Patches {
  /** By channel, best first. */
  readonly of: ReadonlyMap<number, readonly SeenPatch[]>;
  /** How many examples were looked at. */
  readonly examples: number;
  readonly request: Request;
}

export const patches = memo((raw: RawPatches): Patches | undefined => {
  const { channels, patches: told, data, examples = 1, request = {} } = raw;
  const dims = size(raw.shape);
  if (!channels || !told || !data || !dims) return undefined;
  if (!fits("the patches' channels", told.length, channels.length)) return undefined;
  const rgb = bytes(data);
  const room = dims.w * dims.h * 3;
  const count = told.reduce((sum, { length }) => sum + length, 0);
  if (!fits("what came as the patches", rgb.length, count * room)) return undefined;
  let first = 0;
  const of = new Map(
    channels.map((channel, i) => [
      channel,
      told[i]!.map((patch): SeenPatch => {
        const image = { ...dims, rgb: rgb.subarray(first, (first += room)) };
        return { ...patch, image };
      }),
    ]),
  );
  return { of, examples, request };
});

/** Where a patch is from, and how much the channel is excited there: "example 3 (7.92)". */
export function patchText({ example, place, value }: Patch, examples: number): string {
  const where = [
    ...(examples > 1 || !place ? [`example ${example + 1}`] : []),
    ...(place && examples === 1 ? [`row ${place[0]}, column ${place[1]}`] : []),
  ].join(", ");
  return `${where} (${value === null ? "unknown" : number(value)})`;
}
