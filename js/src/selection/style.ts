/** How a map is drawn: the choices of style, read together. */
import { chooseLut, modeTable } from "../data/colour-tables";
import { State, type TraitName } from "../state/state";
import type { Mode, Sign } from "../state/traits";

export const STYLE_TRAITS: readonly TraitName[] = [
  "mode",
  "opacity",
  "colormap",
  "sign",
  "outlier_percent",
  "scale_limit",
  "luts",
];

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

/** Reads the style; the colour table is made again only when something it depends on has changed. */
export function styleReader(state: State): () => Style {
  let key = "";
  let luts: unknown;
  let table: Uint32Array | undefined;
  return () => {
    const opacity = state.get("opacity") ?? 0.6;
    const sign = SIGNS.find(({ value }) => value === state.get("sign"))?.value ?? "all";
    const mode = MODES.find(({ value }) => value === state.get("mode"))?.value ?? "blended";
    const outlierPercent = state.get("outlier_percent") ?? 2;
    const held = heldLimit(state);
    const available = state.get("luts") ?? {};
    const chosen = chooseLut(available, state.get("colormap") ?? "auto", sign);
    const wanted = `${chosen?.name ?? ""} ${sign} ${mode} ${opacity}`;
    if (wanted !== key || luts !== available) {
      key = wanted;
      luts = available;
      table = chosen && modeTable(mode, chosen.lut, sign, opacity);
    }
    return { mode, sign, outlierPercent, held, table };
  };
}

export function heldLimit(state: State): number | null {
  const held = state.get("scale_limit");
  return typeof held === "number" && held > 0 && Number.isFinite(held) ? held : null;
}
