/** The overlay: picture, map, legend, what can be asked about the map, and the controls that restyle it. */
import { StyleControls } from "../controls/style-controls";
import { type Scale, scaleOf, summary } from "../data/statistics";
import { card } from "../lib/card";
import { freshId } from "../lib/disclosure";
import { h, setAttribute, setClipped, setText } from "../lib/dom";
import { button } from "../lib/form-controls";
import { Popup } from "../lib/popup";
import { currentPath, type Displayed, displayed, type Field, pinned } from "../selection/displayed";
import { isComputing, markOf } from "../selection/freshness";
import { layerText, stepByKey } from "../selection/layer";
import { type Style, style } from "../selection/style";
import type { State } from "../state/state";
import type { View } from "../state/view";
import { RefineButton, WeightsNotice } from "./actions";
import { BackButtons } from "./back-buttons";
import { CloseUps } from "./close-up";
import { Brushes, KEYS_TEXT } from "./brushes";
import { DataTable } from "./data-table";
import { describe, readingOf, summarise, valueText, whyNoMap } from "./descriptions";
import { doubt, finding } from "./finding";
import { Legend } from "./legend";
import { PinButtons, Stages } from "./pinned";
import { BoxMarks, PixelPicker } from "./places";
import { ZoomButtons } from "./zoom-buttons";

/** The words and the table are for reading: they wait until nothing has moved for this long. */
const REST_MS = 250;

/** What the numbers of a map are, and whether they speak for and against what is explained. */
function unitOf({ heat }: Displayed, view: View): { unit: string; forAndAgainst: boolean } {
  const walk = heat ? undefined : currentPath(view);
  return {
    unit: (heat ?? walk)?.unit ?? "",
    forAndAgainst: heat ? heat.quantity === "contribution" : walk !== undefined,
  };
}

export class Overlay {
  readonly node: HTMLElement;
  readonly #frame = card("as-overlay", "Picture");
  readonly #readout = h("div", { class: "as-readout" });
  readonly #spoken = h("div", { class: "as-unseen", "aria-live": "polite" });
  readonly #words = h("div", { class: "as-unseen", id: freshId() });
  readonly #keys = h("div", { class: "as-unseen", id: freshId() }, KEYS_TEXT);
  readonly #finding = h("div", { class: "as-finding", dir: "auto" });
  readonly #doubt = h("div", { class: "as-doubt", role: "note", hidden: true });
  readonly #beneath = h("div", { class: "as-beneath" });
  readonly #pins: PinButtons;
  readonly #stages: Stages;
  readonly #legend: Legend;
  readonly #zoom: ZoomButtons;
  readonly #boxes: BoxMarks;
  readonly #closeUps: CloseUps;
  #brushes: Brushes | undefined;
  readonly #table: DataTable;
  #shown: Displayed;
  #pinned: Displayed | undefined;
  #limit = 0;
  #rest: ReturnType<typeof setTimeout> | undefined;
  readonly #state: State;

  constructor(state: State) {
    this.#state = state;
    const { signal, view } = state;
    this.#shown = displayed(view);
    this.node = this.#frame.element;
    this.#pins = new PinButtons(state);
    this.#stages = new Stages(
      signal,
      this.#pins.unpin,
      {
        pointed: (byKeyboard) => state.schedule(byKeyboard ? this.#readKeys : this.#readMouse),
        moved: () => state.schedule(this.#repaint),
      },
      (stage) => (this.#brushes = view.has("selection") ? new Brushes(state, stage, this.#say) : undefined),
    );
    this.#zoom = new ZoomButtons(this.#stages.present, signal, () => state.schedule(this.#repaint));
    this.#boxes = new BoxMarks(state, this.#stages.present);
    this.#closeUps = new CloseUps(state, this.#stages.present);
    this.#legend = new Legend();
    this.#table = new DataTable(signal, () => this.#table.show(this.#shown));
    this.#build(view);
    const { canvas } = this.#stages.present;
    setAttribute(
      canvas,
      "aria-describedby",
      this.#brushes ? `${this.#words.id} ${this.#keys.id}` : this.#words.id,
    );
    const step = (event: KeyboardEvent): void => {
      if (stepByKey(state, event)) setText(this.#spoken, layerText(state.view));
    };
    canvas.addEventListener("keydown", step, { signal });
    signal.addEventListener("abort", () => clearTimeout(this.#rest));
    state.follow(this);
  }

  show(view: View): void {
    const before = this.#shown;
    this.#shown = displayed(view);
    this.#pinned = pinned(view);
    const shown = this.#shown;
    const frame = this.#frame;
    setClipped(frame.title, shown.title);
    frame.mark(markOf(view, shown.stale, shown.heat), shown.stale);
    this.#pins.show(view);
    this.#judge(view);
    this.#paint(view);
    if (before.field !== shown.field || this.#rest === undefined) {
      clearTimeout(this.#rest);
      this.#rest = setTimeout(this.#reflect, REST_MS);
    }
  }

  #build(view: View): void {
    const state = this.#state;
    const frame = this.#frame;
    const pins = this.#pins;
    const zoom = this.#zoom;
    const table = this.#table;
    const back = new BackButtons(state, () => this.#stages.present.canvas.focus({ preventScroll: true }));
    const style = new StyleControls(state, () => this.#limit);
    const more = button("as-disclose", "Style", state.signal, () => undefined);
    const popup = new Popup(more, "as-style-panel", state.signal);
    popup.panel.append(style.node);
    frame.head.append(...back.nodes);
    this.#beneath.append(this.#readout, this.#legend.notes, this.#doubt, ...this.#tools(zoom));
    frame.element.append(
      this.#stages.element,
      this.#words,
      ...(this.#brushes ? [this.#keys] : []),
      this.#beneath,
      this.#legend.element,
      this.#finding,
      new WeightsNotice(state).node,
      style.sliders,
      h(
        "div",
        { class: "as-actions" },
        popup.element,
        table.button,
        ...(view.has("effort") ? [new RefineButton(state).node] : []),
        ...(view.has("predictions") ? [new PixelPicker(state, this.#stages.present).node] : []),
        ...(view.has("pinned") ? [pins.pin] : []),
      ),
      table.panel,
      this.#spoken,
    );
  }

  #tools(zoom: ZoomButtons): HTMLElement[] {
    return this.#brushes ? [this.#brushes.element, zoom.element] : [zoom.element];
  }

  #paint(view: View): void {
    const shown = this.#shown;
    const pinned = this.#pinned;
    const stages = this.#stages;
    const look = style(view);
    const scaleFor = (field: Field | undefined): Scale | undefined =>
      field && scaleOf(field.reference, look.sign, look.outlierPercent, look.held);
    const own = scaleFor(shown.field);
    const kept = scaleFor(pinned?.field);
    this.#limit = Math.max(own?.limit ?? 0, kept?.limit ?? 0);
    this.#closeUps.show(view, shown.picture);
    stages.draw(shown, pinned, { mode: look.mode, limit: this.#limit, table: look.table });
    this.#showLegend(view, look, own, kept);
    setAttribute(stages.present.canvas, "aria-label", describe(shown, look.mode));
    this.#boxes.show(view);
    this.#zoom.show();
    this.#brushes?.moved();
    this.#read(false);
  }

  /** The colours of the present map, or of the kept one where it stands alone. */
  #showLegend(view: View, look: Style, own: Scale | undefined, kept: Scale | undefined): void {
    const shown = this.#shown;
    const pinned = this.#pinned;
    const legend = this.#legend;
    const { field, heat } = shown;
    if (field && own) {
      const shared = kept !== undefined && look.held === null;
      const scale = shared ? scaleOf(field.reference, look.sign, look.outlierPercent, this.#limit) : own;
      const side = field.side;
      legend.show({
        ...look,
        ...unitOf(shown, view),
        side,
        scale,
        heat,
        shared,
        summary: summary(field.reference),
      });
    } else if (pinned?.field && kept) {
      const first = whyNoMap(view, shown);
      const { side, reference } = pinned.field;
      legend.show({
        ...look,
        ...unitOf(pinned, view),
        side,
        scale: kept,
        heat: undefined,
        first,
        summary: summary(reference),
      });
    } else {
      legend.show(undefined, whyNoMap(view, shown));
    }
  }

  /** What the map says in a sentence, and what there is to say against it. */
  #judge(view: View): void {
    const shown = this.#shown;
    const { heat, stale } = shown;
    const against = heat && !stale ? doubt(heat) : "";
    setText(this.#finding, finding(view, shown));
    setClipped(this.#doubt, against);
    setAttribute(this.#beneath, "data-doubt", against ? "1" : undefined);
  }

  #read(byKeyboard: boolean): void {
    const shown = this.#shown;
    const pinned = this.#pinned;
    const stages = this.#stages;
    const here = readingOf(shown, stages.present.point);
    const there = pinned && stages.keptPoint ? valueText(pinned, stages.keptPoint) : "";
    const text = here && there ? `${here}; pinned ${there}` : here;
    setText(this.#readout, text);
    // There is room for one of them.
    const doubted = this.#doubt.textContent !== "";
    this.#legend.notes.hidden = text !== "" || doubted;
    this.#doubt.hidden = text !== "" || !doubted;
    if (byKeyboard) setText(this.#spoken, [text, this.#brushes?.text].filter(Boolean).join("; "));
  }

  readonly #say = (text: string): void => setText(this.#spoken, text);
  readonly #readMouse = (): void => this.#read(false);
  readonly #readKeys = (): void => this.#read(true);
  readonly #repaint = (): void => this.#paint(this.#state.view);

  readonly #reflect = (): void => {
    setText(this.#words, summarise(this.#shown, isComputing(this.#state.view)));
    this.#table.show(this.#shown);
  };
}
