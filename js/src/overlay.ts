/** The overlay: picture, map, legend, and the controls that restyle them on the page alone. */
import { chooseLut, colourTable } from "./colour";
import { button, card, h, select, setAttribute, setClipped, setText, slider } from "./dom";
import { number, percent, signed } from "./format";
import { Legend } from "./legend";
import { decideShown, markOf, type Shown, SHOWN_TRAITS } from "./shown";
import { Stage, valueUnder } from "./stage";
import type { State, TraitName } from "./state";
import { scaleOf, summary } from "./stats";
import type { Sign } from "./traits";

const STYLE_TRAITS: readonly TraitName[] = ["opacity", "colormap", "sign", "outlier_percent", "luts"];

const SIGNS: readonly { value: Sign; label: string }[] = [
  { value: "all", label: "All" },
  { value: "positive", label: "Positive" },
  { value: "negative", label: "Negative" },
  { value: "absolute", label: "Absolute" },
];

interface Style {
  readonly opacity: number;
  readonly sign: Sign;
  readonly outlierPercent: number;
  readonly table: Uint32Array | undefined;
}

/** Reads the style; the colour table is made again only when something it depends on has changed. */
function styleReader(state: State): () => Style {
  let key = "";
  let luts: unknown;
  let table: Uint32Array | undefined;
  return () => {
    const opacity = state.get("opacity") ?? 0.6;
    const sign = SIGNS.find(({ value }) => value === state.get("sign"))?.value ?? "all";
    const outlierPercent = state.get("outlier_percent") ?? 2;
    const available = state.get("luts") ?? {};
    const chosen = chooseLut(available, state.get("colormap") ?? "auto", sign);
    const wanted = `${chosen?.name ?? ""} ${sign} ${opacity}`;
    if (wanted !== key || luts !== available) {
      key = wanted;
      luts = available;
      table = chosen && colourTable(chosen.lut, sign, opacity);
    }
    return { opacity, sign, outlierPercent, table };
  };
}

export function overlay(state: State, el: HTMLElement): void {
  const { signal } = state;
  const frame = card("as-overlay", "Picture");
  const back = button("as-link", "Back to input", signal, () => state.set("layer", null));
  back.title = "Show the input-level method again instead of the picked layer";
  frame.head.append(back);

  const readStyle = styleReader(state);
  const legend = new Legend();
  const readout = h("div", { class: "as-readout" });
  const spoken = h("div", { class: "as-unseen", "aria-live": "polite" });
  let shown: Shown | undefined;

  const read = (byKeyboard: boolean): void => {
    const text = shown ? readingOf(shown, stage) : "";
    setText(readout, text);
    if (byKeyboard) setText(spoken, text);
  };
  const readMouse = (): void => read(false);
  const readKeys = (): void => read(true);
  const stage = new Stage(signal, (byKeyboard) => state.schedule(byKeyboard ? readKeys : readMouse));

  const draw = (): void => {
    shown = decideShown(state);
    const { sign, outlierPercent, table } = readStyle();
    const { field, heat } = shown;
    setClipped(frame.title, shown.title);
    frame.mark(markOf(state, shown.stale, heat?.final), shown.stale);
    back.hidden = typeof state.get("layer") !== "string";
    const scale = field && scaleOf(field.reference, sign, outlierPercent);
    stage.draw(shown, scale?.limit ?? 0, table);
    if (field && scale) {
      legend.show({ scale, sign, table, heat, summary: summary(field.reference) });
    } else {
      legend.show(undefined, waitingFor(state, shown));
    }
    setAttribute(stage.canvas, "aria-label", describe(shown));
    read(false);
  };

  frame.element.append(
    stage.element,
    h("div", { class: "as-under" }, legend.element, readout),
    controls(state),
    spoken,
  );
  el.append(frame.element);
  state.follow([...SHOWN_TRAITS, ...STYLE_TRAITS, "status"], draw);
}

/** Why there is no map over the picture. */
function waitingFor(state: State, shown: Shown): string {
  if (state.get("status") === "running") return shown.alpha < 1 ? "computing the path" : "computing";
  return shown.alpha < 1 ? "no path computed" : "no map computed";
}

/** The words for people who do not see the picture. */
export function describe(shown: Shown): string {
  const { field, kind, title } = shown;
  if (!field) return kind === "empty" ? "No picture yet" : `${title}. No map over it.`;
  const { min, max, peak } = summary(field.reference);
  const over = kind === "walk" ? "over the picture on its way from the baseline" : "over the picture";
  if (peak < 0 || (min === 0 && max === 0)) return `${title}, ${over}. All values are zero.`;
  const w = shown.picture?.w ?? field.w;
  const height = shown.picture?.h ?? field.h;
  const x = Math.floor((((peak % field.w) + 0.5) * w) / field.w);
  const y = Math.floor(((Math.floor(peak / field.w) + 0.5) * height) / field.h);
  const end = kind === "walk" ? "At the input, values" : "Values";
  return (
    `${title}, ${over}. ${end} from ${number(min)} to ${number(max)}; ` +
    `the largest size is at x ${x}, y ${y}.`
  );
}

function readingOf({ field, picture }: Shown, { point }: Stage): string {
  if (!point) return "";
  const place = `x ${point.x}, y ${point.y}`;
  if (!field) return place;
  const value = valueUnder(field, point, picture?.w ?? field.w, picture?.h ?? field.h);
  return `${place}: ${signed(value)}`;
}

/** Opacity, colour map, sign and outlier percentile; only for the traits that this model has. */
function controls(state: State): HTMLElement {
  const { signal } = state;
  const opacity = slider("Opacity", { min: 0, max: 1, step: 0.01 }, signal, (v) => state.set("opacity", v));
  const outliers = slider("Outlier percentile", { min: 0, max: 50, step: 0.5 }, signal, (v) =>
    state.set("outlier_percent", v),
  );
  outliers.element.title = "Share of the largest values that is clipped when the colour scale is chosen";
  const colours = select("Colour map", signal, (v) => state.set("colormap", v));
  const sign = select("Sign", signal, (v) => state.set("sign", v as Sign));

  state.follow(["opacity"], () => {
    const value = state.get("opacity") ?? 0;
    opacity.show(value, `${Math.round(value * 100)}%`);
  });
  state.follow(["outlier_percent"], () => {
    const value = state.get("outlier_percent") ?? 0;
    outliers.input.max = String(value > 50 ? 100 : 50);
    outliers.show(value, percent(value / 100));
  });
  state.follow(["colormap", "luts"], () => {
    const luts = Object.entries(state.get("luts") ?? {});
    const named = luts.map(([value, { label, kind }]) => ({
      value,
      label,
      group: kind === "diverging" ? "Diverging" : "Sequential",
    }));
    colours.show([{ value: "auto", label: "Auto" }, ...named], state.get("colormap") ?? "auto");
  });
  state.follow(["sign"], () => sign.show(SIGNS, state.get("sign") ?? "all"));

  const row = h("div", { class: "as-controls" });
  if (state.has("opacity")) row.append(opacity.element);
  if (state.has("outlier_percent")) row.append(outliers.element);
  if (state.has("colormap")) row.append(colours.element);
  if (state.has("sign")) row.append(sign.element);
  return row;
}
