/** How a map is drawn: the choices of style, read together. */
import { chooseLut, modeTable } from "../data/colour-tables";
import { derived } from "../lib/derived";
import type { Mode, RawLut, Sign } from "../state/messages.generated";
import type { View } from "../state/view";

export const SIGNS: readonly { value: Sign; label: string }[] = [
  { value: "all", label: "All" },
  { value: "positive", label: "Positive" },
  { value: "negative", label: "Negative" },
  { value: "absolute", label: "Absolute" },
];

export const MODES: readonly { value: Mode; label: string }[] = [
  { value: "blended", label: "Blended" },
  { value: "heat", label: "Map alone" },
  { value: "masked", label: "Masked" },
  { value: "side", label: "Side by side" },
];

export interface Style {
  readonly mode: Mode;
  readonly sign: Sign;
  readonly outlierPercent: number;
  /** The end of the colour scale where it is held over several maps. */
  readonly held: number | null;
  readonly table: Uint32Array | undefined;
}

const NO_LUTS: Readonly<Record<string, RawLut>> = {};

/** The colour maps to choose from, by name. */
export const lutsOf = (view: View): Readonly<Record<string, RawLut>> => view.get("luts") ?? NO_LUTS;

const signOf = (view: View): Sign =>
  SIGNS.find(({ value }) => value === view.get("sign"))?.value ?? SIGNS[0]!.value;

const modeOf = (view: View): Mode =>
  MODES.find(({ value }) => value === view.get("mode"))?.value ?? MODES[0]!.value;

/** A table is made again only when something about its colours has changed. */
const table = derived((view: View): Uint32Array | undefined => {
  const sign = signOf(view);
  const chosen = chooseLut(lutsOf(view), view.get("colormap"), sign);
  return chosen && modeTable(modeOf(view), chosen.lut, sign, view.get("opacity"));
});

export const style = derived((view: View): Style => ({
  mode: modeOf(view),
  sign: signOf(view),
  outlierPercent: view.get("outlier_percent"),
  held: heldLimit(view),
  table: table(view),
}));

export function heldLimit(view: View): number | null {
  const held = view.get("scale_limit");
  return held !== null && held > 0 && Number.isFinite(held) ? held : null;
}
