/** The overlay: picture, map, legend, what can be asked about the map, and the controls that restyle it. */
import { whyOff } from "../controls/needs-kernel";
import { styleControls } from "../controls/style-controls";
import { gives } from "../data/layer-words";
import { scaleOf, summary } from "../data/statistics";
import { card } from "../lib/card";
import { freshId } from "../lib/disclosure";
import { focusNear, h, setAttribute, setClipped, setText } from "../lib/dom";
import { button } from "../lib/form-controls";
import { signed } from "../lib/format";
import type { Point } from "../lib/zoom";
import { decideShown, pinnedShown, type Shown, SHOWN_TRAITS } from "../selection/displayed";
import { markOf } from "../selection/freshness";
import { canPick, depthText, pickLayer, stepByKey } from "../selection/layer";
import { levelOf } from "../selection/level";
import { STYLE_TRAITS, styleReader } from "../selection/style";
import type { State } from "../state/state";
import { codeCopy, refineButton, weightsNotice } from "./actions";
import { DataTable } from "./data-table";
import { describe, summarise } from "./descriptions";
import { Legend } from "./legend";
import { pinButtons, Stages } from "./pinned";
import { valueUnder } from "./stage";
import { zoomButtons } from "./zoom-buttons";

/** The words and the table are for reading: they wait until nothing has moved for this long. */
const REST_MS = 250;

export function overlay(state: State, el: HTMLElement): void {
  const { signal } = state;
  const frame = card("as-overlay", "Picture");
  const back = backButtons(state, () => stage.canvas.focus({ preventScroll: true }));
  frame.head.append(...back.elements);

  const readStyle = styleReader(state);
  const legend = new Legend(...refineButton(state));
  const readout = h("div", { class: "as-readout" });
  const spoken = h("div", { class: "as-unseen", "aria-live": "polite" });
  const words = h("div", { class: "as-unseen", id: freshId() });
  const pins = pinButtons(state);
  const stages = new Stages(signal, pins.unpin, {
    pointed: (byKeyboard) => state.schedule(byKeyboard ? readKeys : readMouse),
    moved: () => state.schedule(paint),
  });
  const stage = stages.present;
  setAttribute(stage.canvas, "aria-describedby", words.id);
  const table = new DataTable(signal, () => table.show(shown));
  const code = codeCopy(state);
  let shown: Shown = decideShown(state);
  let pinned = pinnedShown(state);
  let limit = 0;

  const read = (byKeyboard: boolean): void => {
    const here = readingOf(shown, stage.point);
    const there = pinned && stages.keptPoint ? valueText(pinned, stages.keptPoint) : "";
    const text = here && there ? `${here}; pinned ${there}` : here;
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
    const { field, heat } = shown;
    const own = field && scaleOf(field.reference, sign, outlierPercent, held);
    const kept = pinned?.field && scaleOf(pinned.field.reference, sign, outlierPercent, held);
    limit = Math.max(own?.limit ?? 0, kept?.limit ?? 0);
    stages.draw(shown, pinned, { mode, limit, table: colours });
    const look = { sign, mode, table: colours };
    if (field && own) {
      const shared = kept !== undefined && held === null;
      const scale = shared ? scaleOf(field.reference, sign, outlierPercent, limit) : own;
      legend.show({ ...look, scale, heat, shared, summary: summary(field.reference) });
    } else if (pinned?.field && kept) {
      const first = waitingFor(state, shown);
      legend.show({ ...look, scale: kept, heat: undefined, first, summary: summary(pinned.field.reference) });
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
    pinned = pinnedShown(state);
    setAttribute(el, "data-pinned", pinned ? "1" : undefined); // two maps want more room
    setClipped(frame.title, shown.title);
    frame.mark(markOf(state, shown.stale, shown.heat), shown.stale);
    back.show();
    pins.show(shown);
    paint();
    if (before.field !== shown.field || rest === undefined) {
      clearTimeout(rest);
      rest = setTimeout(reflect, REST_MS);
    }
  };
  const zoom = zoomButtons(stage, signal, () => state.schedule(paint));
  stage.canvas.addEventListener(
    "keydown",
    (event) => {
      if (stepByKey(state, event)) setText(spoken, depthText(state));
    },
    { signal },
  );

  frame.element.append(
    stages.element,
    words,
    h("div", { class: "as-beneath" }, readout, zoom.element),
    legend.element,
    weightsNotice(state),
    styleControls(state, () => limit),
    h("div", { class: "as-actions" }, ...pins.pin, ...code.actions, table.button),
    ...code.below,
    table.panel,
    spoken,
  );
  el.append(frame.element);
  state.follow([...SHOWN_TRAITS, ...STYLE_TRAITS, "status", "kernel", "pinned"], draw);
}

/** The ways out of a picked layer or neuron. */
function backButtons(
  state: State,
  left: () => void,
): { readonly elements: readonly HTMLElement[]; show(): void } {
  const { signal } = state;
  const toLayer = button("as-link as-to-layer", "Back to layer", signal, () =>
    pickLayer(state, state.get("layer") ?? null),
  );
  const toInput = button("as-link", "Back to input", signal, () => pickLayer(state, null));
  const all = [
    { element: toLayer, hint: "Show the layer's map again instead of the picked neuron's" },
    { element: toInput, hint: "Show the input-level method again instead of the picked layer" },
  ];
  return {
    elements: all.map(({ element }) => element),
    show() {
      const level = levelOf(state);
      const held = all.find(({ element }) => element === focusNear(element))?.element;
      for (const { element, hint } of all) {
        const to = element === toLayer ? (state.get("layer") ?? null) : null;
        element.hidden = level === "input" || (element === toLayer && level !== "neuron");
        element.disabled = !canPick(state, to);
        const title = element.disabled ? (whyOff(state.kernel) ?? hint) : hint;
        if (element.title !== title) element.title = title;
      }
      if (held?.hidden) left(); // a button that goes away would take the focus with it
    },
  };
}

/** Why there is no map over the picture. */
function waitingFor(state: State, { alpha, without }: Shown): string {
  if (without) {
    const below = state.has("channels") && without.form && without.form !== "other";
    return `no map: ${gives(without)}${below ? "; pick one below to see what drives it" : ""}`;
  }
  if (state.get("status") === "running" && state.reachable) {
    return alpha < 1 ? "computing the path" : "computing";
  }
  return alpha < 1 ? "no path computed" : "no map computed";
}

function valueText({ field, picture }: Shown, point: Point): string {
  return field ? signed(valueUnder(field, point, picture?.w ?? field.w, picture?.h ?? field.h)) : "";
}

function readingOf(shown: Shown, point: Point | undefined): string {
  if (!point) return "";
  const place = `x ${point.x}, y ${point.y}`;
  const value = valueText(shown, point);
  return value ? `${place}: ${value}` : place;
}
