/** The pixel loops: a map through a colour table into an image, one pass each. */
import { STEPS, TABLE_LENGTH } from "./colour-tables";

/** value * gain + offset, cut to a whole number, is the value's entry in a colour table. */
function entryOf(limit: number): { gain: number; offset: number } {
  return { gain: (STEPS - 1) / (2 * limit), offset: 1 + (STEPS - 1) / 2 + 0.5 };
}

const LAST = TABLE_LENGTH - 1;

export function paintValues(values: Float32Array, limit: number, table: Uint32Array, out: Uint32Array): void {
  if (!(limit > 0)) {
    out.fill(0);
    return;
  }
  const { gain, offset } = entryOf(limit);
  for (let i = 0; i < values.length; i++) {
    let entry = values[i]! * gain + offset;
    if (entry < 1) entry = 1;
    else if (entry > LAST) entry = LAST;
    out[i] = table[entry | 0]!; // NaN passes both tests and becomes entry 0: nothing
  }
}

const pairs = new Uint32Array(0x10000);

/**
 * A map between two companded frames: `low` and `high` give the frames' first bytes in `codes`, `share` how far the
 * map is from the one to the other, and `decode` the value of each code. There are only 65,536 pairs of codes, so
 * their pixels are worked out first, and then each pixel of the map is one lookup.
 */
export function paintBetween(
  codes: Uint8Array,
  low: number,
  high: number,
  share: number,
  decode: Float32Array,
  limit: number,
  table: Uint32Array,
  out: Uint32Array,
): void {
  if (!(limit > 0)) {
    out.fill(0);
    return;
  }
  const { gain, offset } = entryOf(limit);
  for (let first = 0; first < 256; first++) {
    const base = decode[first]! * gain * (1 - share) + offset;
    for (let second = 0; second < 256; second++) {
      let entry = base + decode[second]! * gain * share;
      if (entry < 1) entry = 1;
      else if (entry > LAST) entry = LAST;
      pairs[(first << 8) | second] = table[entry | 0]!;
    }
  }
  for (let i = 0; i < out.length; i++) out[i] = pairs[(codes[low + i]! << 8) | codes[high + i]!]!;
}
