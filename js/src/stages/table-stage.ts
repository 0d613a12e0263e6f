/** A row of a table as what stands on the left: the waterfall of its columns, and what can be done with them. */
import { BackButtons } from "../controls/back-buttons";
import { RefineButton, WeightsNotice } from "../controls/map-actions";
import { needKernel } from "../controls/needs-kernel";
import { Refusal } from "../controls/refusal";
import { bySize } from "../data/table";
import { card } from "../lib/card";
import { clipped, h, setAttribute, setClipped, setText } from "../lib/dom";
import { button, type Select, select } from "../lib/form-controls";
import { position, signed } from "../lib/format";
import { baselineLabel } from "../selection/baselines";
import { currentPath, type Displayed, displayed } from "../selection/displayed";
import { doubt, estimateNotes, finding, whyNoMap } from "../selection/finding";
import { markOf } from "../selection/freshness";
import { pickedColumns } from "../selection/region";
import { columnName, currentTable } from "../selection/table";
import { stageWords } from "../selection/words";
import type { State } from "../state/state";
import type { View } from "../state/view";
import { exact } from "./cell";
import { Cells } from "./cells";
import { ColumnList } from "./column-list";
import { type Amounts, amountsOf, arrange, type Order, waterfall } from "./waterfall";

/** So many columns have a row of their own at first. */
const MOST = 12;
/** So many of the edited cells are told of. */
const TOLD = 6;

const ORDERS: readonly { readonly value: Order; readonly label: string }[] = [
  { value: "size", label: "by size" },
  { value: "table", label: "as in the table" },
];

export class TableStage {
  readonly node: HTMLElement;
  readonly #frame = card("as-left as-waterfall", "Row");
  readonly #start = clipped("as-fall-start");
  readonly #unit = clipped("as-fall-unit");
  readonly #end = clipped("as-fall-end");
  readonly #notes = clipped("as-table-notes");
  readonly #finding = h("div", { class: "as-finding", dir: "auto" });
  readonly #cells: Cells;
  readonly #list: ColumnList;
  readonly #refusal: Refusal;
  readonly #sort: Select;
  readonly #undo: HTMLButtonElement;
  readonly #fewer: HTMLButtonElement;
  #order: Order = "size";
  #isOpen = false;
  /** The columns by size, kept while somebody is in a field. */
  #ranking: readonly number[] = [];
  readonly #state: State;

  constructor(state: State) {
    this.#state = state;
    const { signal, view } = state;
    this.node = this.#frame.element;
    this.#cells = new Cells(state);
    this.#refusal = new Refusal(view, "edited", []);
    this.#list = new ColumnList(state, this.#cells, this.#refusal, {
      opened: () => this.#open(true),
      settled: () => state.redraw(this),
    });
    this.#sort = select("Order of columns", signal, (value) => {
      this.#order = value as Order;
      state.redraw(this);
    });
    this.#fewer = button("as-link", "Fewer", signal, () => this.#open(false));
    this.#undo = button("as-link", "Undo edits", signal, () => {
      this.#refusal.clear();
      this.#cells.undo();
    });
    this.#fewer.title = `Show the ${MOST} largest only`;
    needKernel(state, this.#undo);
    this.#build(view);
    state.follow(this.#refusal); // by itself: what the page would not take stands until something else is chosen
    state.follow(this);
  }

  show(view: View): void {
    const shown = displayed(view);
    const frame = this.#frame;
    this.#cells.show(view);
    setClipped(frame.title, shown.title);
    frame.mark(markOf(view, shown.stale, shown.heat), shown.stale);
    const amounts = amountsOf(view, shown);
    this.#showEnds(view, shown, amounts);
    this.#showList(view, shown, amounts);
    this.#showWords(view, shown);
    this.#sort.show(ORDERS, this.#order);
    this.#showEdits(view);
  }

  #build(view: View): void {
    const state = this.#state;
    const frame = this.#frame;
    const back = new BackButtons(state, () => this.#list.focus());
    frame.head.append(...back.nodes);
    frame.element.append(
      h("div", { class: "as-fall-ends" }, this.#start, this.#unit, this.#end),
      ...this.#list.nodes,
      this.#refusal.node,
      this.#notes,
      this.#finding,
      new WeightsNotice(state).node,
      h(
        "div",
        { class: "as-actions" },
        this.#sort.element,
        this.#fewer,
        ...(view.has("edited") ? [this.#undo] : []),
        ...(view.has("effort") ? [new RefineButton(state).node] : []),
      ),
    );
  }

  /** Between which outputs the bars lead, and what they are. */
  #showEnds(view: View, { heat, alpha }: Displayed, amounts: Amounts | undefined): void {
    const { start, end } = amounts ?? {};
    setClipped(this.#start, start === undefined ? "" : `baseline ${signed(start)}`, baselineLabel(view));
    setClipped(this.#unit, amounts ? ((heat ?? currentPath(view))?.unit ?? "") : "");
    const where = alpha < 1 ? `accumulated to α = ${position(alpha)}:` : stageWords(view).input;
    setClipped(this.#end, end === undefined ? "" : `${where} ${signed(end)}`);
  }

  #showList(view: View, shown: Displayed, amounts: Amounts | undefined): void {
    const count = currentTable(view)?.columns.length ?? 0;
    const reference = amounts?.reference;
    const fits = reference?.length === count;
    if (!this.#list.isEditing || this.#ranking.length !== count) {
      this.#ranking = fits ? bySize(reference) : Array.from({ length: count }, (_, i) => i);
    }
    // What somebody works on does not go away under their hands.
    const kept = new Set([...this.#cells.columns, ...pickedColumns(view)]);
    const arranged = arrange(this.#ranking, this.#isOpen ? count : MOST, this.#order, kept);
    const none: Amounts = {
      valueAt: () => NaN,
      reference: new Float32Array(count),
      start: undefined,
      end: undefined,
      missing: 0,
    };
    const fall = waterfall(arranged, fits ? amounts! : none);
    this.#list.show({ fall, others: arranged.others, known: fits, kind: shown.kind });
    this.#fewer.hidden = !this.#isOpen || count <= MOST + 1;
  }

  /** What the map says in a sentence, or what there is to say against it; and in small how good it is. */
  #showWords(view: View, shown: Displayed): void {
    const { heat, stale, field } = shown;
    const against = heat && !stale ? doubt(heat) : "";
    setText(this.#finding, against || (field ? finding(view, shown) : whyNoMap(view, shown)));
    setAttribute(this.#finding, "data-doubt", against ? "1" : undefined);
    const sum = heat?.sum === undefined ? [] : [`sum ${signed(heat.sum)}`];
    setClipped(this.#notes, heat ? [...sum, ...estimateNotes(heat)].join(" · ") : "");
  }

  #showEdits(view: View): void {
    const undo = this.#undo;
    const cells = this.#cells;
    const { columns, count } = cells;
    undo.hidden = count === 0;
    if (!count || undo.disabled) return;
    const was = columns.slice(0, TOLD).flatMap((column) => {
      const given = cells.given(column);
      if (given === undefined) return [];
      const value = Number.isNaN(given) ? "missing" : exact(given);
      return [count === 1 ? `was ${value}` : `${columnName(view, column)} was ${value}`];
    });
    undo.title = [`${count} ${count === 1 ? "cell" : "cells"} edited`, was.join(", ")]
      .filter(Boolean)
      .join(" · ");
  }

  #open(open: boolean): void {
    this.#isOpen = open;
    if (!open) this.#list.rewind();
    this.#state.redraw(this);
  }
}
