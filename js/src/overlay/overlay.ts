/** The overlay: picture, map, legend, what can be asked about the map, and the controls that restyle it. */
import { StyleControls } from "../controls/style-controls";
import { type Scale, scaleOf, summary } from "../data/statistics";
import { card } from "../lib/card";
import { freshId } from "../lib/disclosure";
import { h, setAttribute, setClipped, setText } from "../lib/dom";
import { button } from "../lib/form-controls";
import { Popup } from "../lib/popup";
import { currentPath, type Displayed, displayed, type Field } from "../selection/displayed";
import { isComputing, markOf } from "../selection/freshness";
import { layerText, stepByKey } from "../selection/layer";
import { type Arrangement, arrangement, countAlike } from "../selection/pins";
import { type Style, style } from "../selection/style";
import type { State } from "../state/state";
import type { View } from "../state/view";
import { RefineButton, WeightsNotice } from "../controls/map-actions";
import { BackButtons } from "../controls/back-buttons";
import { CloseUps } from "./close-up";
import { Brushes, KEYS_TEXT } from "./brushes";
import { DataTable } from "./data-table";
import { describe, readingOf, summarise, valueText } from "./descriptions";
import { doubt, finding, whyNoMap } from "../selection/finding";
import { Flicker } from "./flicker";
import { Legend } from "./legend";
import { Stages } from "./pinned";
import { BoxMarks, PixelMark, PixelPicker } from "./places";
import { firstOf, mainOf, othersOf, titleOf, wordsOf } from "./together";
import { Tray } from "./tray";
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
  readonly #frame = card("as-left as-overlay", "Picture");
  readonly #readout = h("div", { class: "as-readout" });
  readonly #spoken = h("div", { class: "as-unseen", "aria-live": "polite" });
  readonly #words = h("div", { class: "as-unseen", id: freshId() });
  readonly #keys = h("div", { class: "as-unseen", id: freshId() }, KEYS_TEXT);
  readonly #finding = h("div", { class: "as-finding", dir: "auto" });
  readonly #beneath = h("div", { class: "as-beneath" });
  readonly #tray: Tray;
  readonly #flicker: Flicker;
  readonly #stages: Stages;
  readonly #legend: Legend;
  readonly #zoom: ZoomButtons;
  readonly #boxes: BoxMarks;
  readonly #pixel: PixelMark;
  readonly #closeUps: CloseUps;
  #brushes: Brushes | undefined;
  readonly #table: DataTable;
  /** What the words are about: the present map, or what stands in its place. */
  #shown: Displayed;
  #together: Arrangement;
  #limit = 0;
  #rest: ReturnType<typeof setTimeout> | undefined;
  readonly #state: State;

  constructor(state: State) {
    this.#state = state;
    const { signal, view } = state;
    this.#shown = displayed(view);
    this.#together = arrangement(view);
    this.node = this.#frame.element;
    this.#tray = new Tray(state);
    this.#flicker = new Flicker(signal, () => state.redraw(this));
    this.#stages = new Stages(
      state,
      {
        pointed: (byKeyboard) => state.schedule(byKeyboard ? this.#readKeys : this.#readMouse),
        moved: () => state.schedule(this.#repaint),
      },
      () =>
        (this.#tray.pin.disabled ? this.#stages.main.canvas : this.#tray.pin).focus({ preventScroll: true }),
      (stage) => (this.#brushes = view.has("selection") ? new Brushes(state, stage, this.#say) : undefined),
    );
    this.#zoom = new ZoomButtons(this.#stages.present, signal, () => state.schedule(this.#repaint));
    this.#boxes = new BoxMarks(state, this.#stages.present);
    this.#pixel = new PixelMark(this.#stages.present);
    this.#closeUps = new CloseUps(state, this.#stages.present);
    this.#legend = new Legend();
    this.#table = new DataTable(signal, () => this.#table.show(this.#shown));
    this.#build(view);
    setAttribute(
      this.#stages.present.canvas,
      "aria-describedby",
      this.#brushes ? `${this.#words.id} ${this.#keys.id}` : this.#words.id,
    );
    const step = (event: KeyboardEvent): void => {
      if (stepByKey(state, event)) setText(this.#spoken, layerText(state.view));
    };
    for (const canvas of this.#stages.canvases) canvas.addEventListener("keydown", step, { signal });
    signal.addEventListener("abort", () => clearTimeout(this.#rest));
    state.follow(this);
  }

  show(view: View): void {
    const before = this.#shown;
    const together = arrangement(view);
    this.#together = together;
    this.#flicker.show(together.kind === "flicker");
    this.#shown = mainOf(together, displayed(view), this.#flicker.index);
    const shown = this.#shown;
    const frame = this.#frame;
    setClipped(frame.title, titleOf(together, shown, this.#flicker.index));
    frame.mark(markOf(view, shown.stale, shown.heat), shown.stale);
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
    const tray = this.#tray;
    const zoom = this.#zoom;
    const table = this.#table;
    const back = new BackButtons(state, () => this.#stages.present.canvas.focus({ preventScroll: true }));
    const style = new StyleControls(state, () => this.#scaleToHold());
    const more = button("as-disclose", "Style", state.signal, () => undefined);
    const popup = new Popup(more, "as-style-panel", state.signal);
    popup.panel.append(style.node);
    frame.head.append(...back.nodes, this.#flicker.node);
    this.#beneath.append(this.#readout, this.#legend.notes, ...this.#tools(zoom));
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
        ...(view.has("pinned") ? [tray.pin, tray.node] : []),
      ),
      table.panel,
      this.#spoken,
    );
  }

  #tools(zoom: ZoomButtons): HTMLElement[] {
    return this.#brushes ? [this.#brushes.element, zoom.element] : [zoom.element];
  }

  /** Where the scale ends that the maps would keep: a difference has one of its own, which is no map's. */
  #scaleToHold(): number {
    const { difference, pair } = this.#together;
    const look = style(this.#state.view);
    if (!difference || !pair) return this.#limit;
    return Math.max(...pair.map(({ field }) => this.#scaleFor(field, look)?.limit ?? 0));
  }

  #scaleFor(field: Field | undefined, look: Style): Scale | undefined {
    return field && scaleOf(field.reference, look.sign, look.outlierPercent, look.held);
  }

  #paint(view: View): void {
    const present = displayed(view);
    const together = this.#together;
    const { left, pair, difference } = together;
    const shown = this.#shown;
    const stages = this.#stages;
    const chosen = style(view);
    const look = difference ? { ...chosen, held: null } : chosen;
    const own = this.#scaleFor(shown.field, look);
    const other = difference ? undefined : pair?.find((one) => one !== shown && one.field);
    const kept = this.#scaleFor(other?.field, look);
    const alike = !pair || countAlike(pair);
    this.#limit = alike || !own ? Math.max(own?.limit ?? 0, kept?.limit ?? 0) : own.limit;
    this.#closeUps.show(view, present.picture);
    const drawn = { mode: look.mode, limit: this.#limit, table: look.table };
    const instead = othersOf(together, shown);
    const beside = alike || !kept ? drawn : { ...drawn, limit: kept.limit };
    stages.draw(present, { left, instead }, drawn, beside);
    setAttribute(this.node, "data-instead", instead ? "1" : undefined);
    this.#showLegend(view, look, own, other, kept, alike);
    setAttribute(stages.present.canvas, "aria-label", describe(present, look.mode));
    this.#boxes.show(view);
    this.#pixel.show(view);
    this.#zoom.show();
    this.#brushes?.moved();
    this.#read(false);
  }

  /** The colours of the map that is told of, or of the other one where it has none. */
  #showLegend(
    view: View,
    look: Style,
    own: Scale | undefined,
    other: Displayed | undefined,
    kept: Scale | undefined,
    alike: boolean,
  ): void {
    const shown = this.#shown;
    const legend = this.#legend;
    const first = firstOf(this.#together);
    const { field } = shown;
    // Of two that are told of together, the numbers of one alone would be taken for those of both.
    const heat = this.node.dataset.instead ? undefined : shown.heat;
    if (field && own) {
      const together = alike ? kept : undefined;
      const shared = together !== undefined && look.held === null;
      const ends = look.held ?? this.#limit;
      const onIt = (one: Field): Scale => scaleOf(one.reference, look.sign, look.outlierPercent, ends);
      // Of two maps on one scale it is the one of which more lies beyond that is told of.
      const clipped = together && other?.field ? Math.max(onIt(field).clipped, onIt(other.field).clipped) : 0;
      const scale = together ? { ...(shared ? onIt(field) : own), clipped } : own;
      const { side, reference } = field;
      const unit = unitOf(shown, view);
      const apart = !alike && look.held === null;
      const words = { ...look, ...unit, side, scale, heat, shared, apart, first };
      legend.show({ ...words, summary: summary(reference) });
    } else if (other?.field && kept) {
      const why = whyNoMap(view, shown);
      const { side, reference } = other.field;
      const unit = unitOf(other, view);
      legend.show({
        ...look,
        ...unit,
        side,
        scale: kept,
        heat: undefined,
        first: why,
        summary: summary(reference),
      });
    } else {
      legend.show(undefined, whyNoMap(view, shown));
    }
  }

  /** What the map says in a sentence; or what there is to say against it, for then it says nothing. */
  #judge(view: View): void {
    const shown = this.#shown;
    const { heat, stale } = shown;
    const instead = othersOf(this.#together, shown);
    const against = heat && !stale && !instead ? doubt(heat) : "";
    setText(this.#finding, instead ? wordsOf(this.#together) : against || finding(view, shown));
    setAttribute(this.#finding, "data-doubt", against ? "1" : undefined);
  }

  #read(byKeyboard: boolean): void {
    const shown = this.#shown;
    const { left, right } = this.#together;
    const stages = this.#stages;
    const here = readingOf(shown, stages.main.point);
    const there = left && stages.leftPoint ? valueText(left.shown, stages.leftPoint) : "";
    const text = here && there ? `${here}; ${right ? "left" : "pinned"} ${there}` : here;
    setText(this.#readout, text);
    // There is room for one of them.
    this.#legend.notes.hidden = text !== "";
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
