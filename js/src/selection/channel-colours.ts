/** The colours and scales of what is inside a layer: the present colour map, and one's own where there is none. */
import { type Amounts, type Channels, isSigned, type Quantity, valuesOf } from "../data/channels";
import { chooseLut, colourTable } from "../data/colour-tables";
import type { Lut } from "../data/messages";
import { scaleOf } from "../data/statistics";
import type { State } from "../state/state";
import type { Sign } from "../state/traits";

/** Blue over white to red, for a grid that stands alone without colour maps. */
const OWN: Lut = {
  label: "",
  kind: "diverging",
  rgb: Uint8Array.from({ length: 768 }, (_, i) => {
    const t = Math.floor(i / 3) / 127.5 - 1;
    const low = [33, 102, 172];
    const high = [178, 24, 43];
    const end = (t < 0 ? low : high)[i % 3]!;
    return Math.round(247 + (end - 247) * Math.abs(t));
  }),
};

/** What never lies below zero is coloured from zero upwards; a contribution is for or against. */
export const signOf = (channels: Channels, quantity: Quantity): Sign =>
  quantity === "contribution" || isSigned(channels.activation) ? "all" : "positive";

/** Reads the colours; a table is made again only when what it depends on has changed. */
export function tableReader(state: State): (sign: Sign) => Uint32Array {
  let key = "";
  let luts: unknown;
  let table: Uint32Array | undefined;
  return (sign) => {
    const available = state.get("luts") ?? {};
    const colormap = state.get("colormap") ?? "auto";
    const wanted = `${colormap} ${sign}`;
    if (!table || wanted !== key || luts !== available) {
      key = wanted;
      luts = available;
      table = colourTable(chooseLut(available, colormap, sign)?.lut ?? OWN, sign, 1);
    }
    return table;
  };
}

/** Where the colours end: for all channels together, or at the largest size of each. */
export function limits(
  of: Amounts,
  sign: Sign,
  shared: boolean,
  outlierPercent: number,
): (channel: number) => number {
  if (!shared) return (channel) => Math.abs(of.scales[channel]!) || 0;
  const { limit } = scaleOf(valuesOf(of), sign, outlierPercent);
  return () => limit;
}
