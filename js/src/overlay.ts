/** The overlay: picture, map, legend, what can be asked about the map, and the controls that restyle it. */
import { button, card, h, setAttribute, setClipped, setText } from "./dom";
import { signed } from "./format";
import { freshId } from "./disclosure";
import { codeCopy, refineButton, weightsNotice } from "./extras";
import { needKernel } from "./kernel";
import { Legend } from "./legend";
import { handle } from "./pointing";
import { decideShown, markOf, type Shown, SHOWN_TRAITS } from "./shown";
import { Stage, valueUnder } from "./stage";
import type { State } from "./state";
import { scaleOf, summary } from "./stats";
import { STYLE_TRAITS, styleControls, styleReader } from "./style";
import { DataTable } from "./table";
import { describe, summarise } from "./words";
import { zoomButtons } from "./zoombuttons";

/** The words and the table are for reading: they wait until nothing has moved for this long. */
const REST_MS = 250;

export function overlay(state: State, el: HTMLElement): void {
  const { signal } = state;
  const frame = card("as-overlay", "Picture");
  const back = button("as-link", "Back to input", signal, () => state.choose("layer", null));
  back.title = "Show the input-level method again instead of the picked layer";
  needKernel(state, back);
  frame.head.append(back);

  const readStyle = styleReader(state);
  const legend = new Legend(...refineButton(state));
  const readout = h("div", { class: "as-readout" });
  const spoken = h("div", { class: "as-unseen", "aria-live": "polite" });
  const words = h("div", { class: "as-unseen", id: freshId() });
  const stage = new Stage();
  setAttribute(stage.canvas, "aria-describedby", words.id);
  const table = new DataTable(signal, () => table.show(shown));
  const code = codeCopy(state);
  let shown: Shown = decideShown(state);
  let limit = 0;

  const read = (byKeyboard: boolean): void => {
    const text = readingOf(shown, stage);
    setText(readout, text);
    if (byKeyboard) setText(spoken, text);
  };
  const readMouse = (): void => read(false);
  const readKeys = (): void => read(true);

  let rest: ReturnType<typeof setTimeout> | undefined;
  const reflect = (): void => {
    setText(words, summarise(shown));
    table.show(shown);
  };
  signal.addEventListener("abort", () => clearTimeout(rest));

  const paint = (): void => {
    const { mode, sign, outlierPercent, held, table: colours } = readStyle();
    const { field } = shown;
    const scale = field && scaleOf(field.reference, sign, outlierPercent, held);
    limit = scale?.limit ?? 0;
    stage.draw(shown, { mode, limit, table: colours });
    if (field && scale) {
      const { heat } = shown;
      legend.show({ scale, sign, mode, table: colours, heat, summary: summary(field.reference) });
    } else {
      legend.show(undefined, waitingFor(state, shown));
    }
    setAttribute(stage.canvas, "aria-label", describe(shown, mode));
    zoom.show();
    read(false);
  };
  const draw = (): void => {
    const before = shown;
    shown = decideShown(state);
    setClipped(frame.title, shown.title);
    frame.mark(markOf(state, shown.stale, shown.heat), shown.stale);
    back.hidden = typeof state.get("layer") !== "string";
    paint();
    if (before.field !== shown.field || rest === undefined) {
      clearTimeout(rest);
      rest = setTimeout(reflect, REST_MS);
    }
  };
  const zoom = zoomButtons(stage, signal, () => state.schedule(paint));
  handle(stage, signal, {
    pointed: (byKeyboard) => state.schedule(byKeyboard ? readKeys : readMouse),
    moved: () => state.schedule(paint),
  });

  frame.element.append(
    stage.element,
    words,
    h("div", { class: "as-beneath" }, readout, zoom.element),
    legend.element,
    weightsNotice(state),
    styleControls(state, () => limit),
    h("div", { class: "as-actions" }, ...code.actions, table.button),
    ...code.below,
    table.panel,
    spoken,
  );
  el.append(frame.element);
  state.follow([...SHOWN_TRAITS, ...STYLE_TRAITS, "status", "kernel"], draw);
}

/** Why there is no map over the picture. */
function waitingFor(state: State, shown: Shown): string {
  if (state.get("status") === "running" && state.reachable) {
    return shown.alpha < 1 ? "computing the path" : "computing";
  }
  return shown.alpha < 1 ? "no path computed" : "no map computed";
}

function readingOf({ field, picture }: Shown, { point }: Stage): string {
  if (!point) return "";
  const place = `x ${point.x}, y ${point.y}`;
  if (!field) return place;
  const value = valueUnder(field, point, picture?.w ?? field.w, picture?.h ?? field.h);
  return `${place}: ${signed(value)}`;
}
