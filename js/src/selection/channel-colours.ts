/** The colours and scales of what is inside a layer: the present colour map, and one's own where there is none. */
import { type Amounts, type Channels, isSigned, type Quantity, valuesOf } from "../data/channels";
import { aloneTable, chooseLut } from "../data/colour-tables";
import type { Lut } from "../data/messages";
import { scaleOf } from "../data/statistics";
import { derived } from "../lib/derived";
import type { Sign } from "../state/messages.generated";
import { View } from "../state/view";
import { lutsOf } from "./style";

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

const tableOf = (sign: Sign): ((view: View) => Uint32Array) =>
  derived((view) => aloneTable(chooseLut(lutsOf(view), view.get("colormap"), sign)?.lut ?? OWN, sign));

/** For each sign the colours of the present colour map. */
export const CHANNEL_TABLES: Readonly<Record<Sign, (view: View) => Uint32Array>> = {
  all: tableOf("all"),
  positive: tableOf("positive"),
  negative: tableOf("negative"),
  absolute: tableOf("absolute"),
};

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
