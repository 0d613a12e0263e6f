/**
 * The columns of a row as a list: each with its value, its bar and its number. A click asks about a column, a field
 * edits its value. Ten columns and five hundred are one and the same list, of which only what is in view is there.
 */
import { whyOff } from "../controls/needs-kernel";
import type { Refusal } from "../controls/refusal";
import { columnsRegion } from "../data/table";
import { clamp, focusNear, h, setAttribute, setVariable } from "../lib/dom";
import { freshId } from "../lib/disclosure";
import { VirtualList } from "../lib/virtual-list";
import { presentAlpha } from "../selection/displayed";
import { stepByKey } from "../selection/layer";
import { pickedColumns, pickRegion } from "../selection/region";
import { columnName, currentTable } from "../selection/table";
import type { State } from "../state/state";
import type { View } from "../state/view";
import { parseCell } from "./cell";
import type { Cells } from "./cells";
import { ColumnRow, type RowContent } from "./column-row";
import { GAP, OTHERS, type Step, type Waterfall } from "./waterfall";

/** Pixels, as in the style sheet. */
const ROW_HEIGHT = 24;
const PAGE = 10;

const KEYS_TEXT =
  "Arrow keys go from column to column. Enter or Space asks about one, Shift with Space about one more; again, or " +
  "Delete, lets go. Tab goes to the column's value, where arrow up and down change it and Enter takes what was typed.";

export interface ListContent {
  readonly fall: Waterfall;
  /** The columns that have no step of their own. */
  readonly others: readonly number[];
  /** Whether there is a map: without one there are no bars. */
  readonly known: boolean;
  /** What is on show: a map, the walk, or the row alone. */
  readonly kind: string;
}

export class ColumnList {
  readonly #keys = h("div", { class: "as-unseen", id: freshId() }, KEYS_TEXT);
  readonly #box = h("div", {
    class: "as-column-list",
    role: "list",
    "aria-label": "Columns",
    "aria-describedby": this.#keys.id,
  });
  readonly nodes = [this.#keys, this.#box];
  readonly #rows = new WeakMap<HTMLElement, ColumnRow>();
  readonly #list: VirtualList;
  readonly #state: State;
  readonly #cells: Cells;
  readonly #refusal: Refusal;
  readonly #tell: { readonly opened: () => void; readonly settled: () => void };
  #content: ListContent = {
    fall: { flows: false, steps: [], low: 0, high: 0, largest: 0 },
    others: [],
    known: false,
    kind: "empty",
  };
  #steps: ReadonlyMap<number, Step> = new Map();
  #items: readonly number[] = [];
  /** The item that Tab reaches. */
  #focus = 0;
  /** The value of the field that has the focus is gone through by arrow keys. */
  #stepping = false;
  /** The list is being drawn: fields that move lose the focus, and nobody has left them. */
  #drawing = false;

  /**
   * `refusal` says what cannot be taken. `tell` hears when somebody wants to see all columns, and when a value is settled,
   * so that columns may go to other places.
   */
  constructor(
    state: State,
    cells: Cells,
    refusal: Refusal,
    tell: { readonly opened: () => void; readonly settled: () => void },
  ) {
    this.#state = state;
    this.#cells = cells;
    this.#refusal = refusal;
    this.#tell = tell;
    const { signal } = state;
    const box = this.#box;
    this.#list = new VirtualList({
      box,
      rowHeight: ROW_HEIGHT,
      signal,
      make: (item) => {
        const row = new ColumnRow(item);
        this.#rows.set(row.node, row);
        return row.node;
      },
      update: (element, item) => this.#rows.get(element)!.show(this.#rowContent(item)),
    });
    box.addEventListener("click", (event) => this.#clicked(event), { signal });
    box.addEventListener("keydown", (event) => this.#pressed(event), { signal });
    box.addEventListener("focusin", (event) => this.#entered(event), { signal });
    box.addEventListener("focusout", (event) => this.#left(event), { signal });
  }

  /** Whether somebody types, or goes through values step by step: then columns stay where they are. */
  get isEditing(): boolean {
    const input = this.#box.querySelector(".as-cell-input:focus");
    const cell = this.#rowOf(input)?.row.cell;
    return cell !== undefined && (this.#stepping || cell.typed !== undefined);
  }

  show(content: ListContent): void {
    this.#content = content;
    setAttribute(this.#box, "data-shown", content.kind);
    const { steps, low, high } = content.fall;
    setVariable(this.#box, "--as-zero", high > low ? (-low / (high - low)).toFixed(4) : 0);
    this.#steps = new Map(steps.map((step) => [step.item, step]));
    this.#items = steps.map(({ item }) => item);
    if (!this.#steps.has(this.#focus)) this.#focus = this.#items[0] ?? 0;
    const box = this.#box;
    const active = focusNear(box);
    const held = active && box.contains(active) ? (active as HTMLElement) : undefined;
    this.#drawing = true;
    this.#list.show(this.#items, this.#focus);
    if (held?.isConnected && focusNear(box) !== held) held.focus({ preventScroll: true });
    this.#drawing = false;
    if (held && !held.isConnected) this.focus(); // as where the others were, which are columns of their own now
  }

  /** Gives the focus to the column that Tab reaches. */
  focus(): void {
    this.#goTo(this.#focus);
  }

  /** Goes to the start, for other columns come. */
  rewind(): void {
    this.#box.scrollTop = 0;
  }

  #rowContent(item: number): RowContent {
    const { fall, others, known } = this.#content;
    const { view } = this.#state;
    const name = item >= 0 ? columnName(view, item) : "";
    const common = {
      step: known ? this.#steps.get(item) : undefined,
      low: fall.low,
      high: fall.high,
      largest: fall.largest,
      flows: fall.flows && known,
      reached: item === this.#focus,
    };
    if (item === GAP) {
      const title = "What the numbers of the columns leave open of the output's change";
      return { ...common, label: "not explained", cell: undefined, picked: false, title };
    }
    if (item === OTHERS) {
      const label = `${others.length} others`;
      return { ...common, label, cell: undefined, picked: false, title: "Show all columns" };
    }
    const picked = pickedColumns(view).has(item);
    const title = `${name}\nClick to ${picked ? "let go of it" : "ask about it"}, with Shift for several`;
    return { ...common, label: name, cell: this.#cellContent(view, item, name), picked, title };
  }

  #cellContent(view: View, column: number, name: string): RowContent["cell"] {
    const cells = this.#cells;
    const row = currentTable(view);
    const { low = NaN, high = NaN } = row?.columns[column] ?? {};
    const alpha = presentAlpha(view);
    const way =
      alpha < 1 ? "On the way from the baseline: it can be edited at the end of the path" : undefined;
    return {
      name,
      value: cells.value(view, column, alpha),
      low,
      high,
      rows: row?.rows ?? 0,
      edited: cells.isEdited(column),
      was: cells.given(column),
      locked: whyOff(view.kernel) ?? way ?? (view.has("edited") ? undefined : "It cannot be edited here"),
      reached: column === this.#focus,
    };
  }

  #rowOf(target: EventTarget | null): { item: number; row: ColumnRow } | undefined {
    const item = this.#list.itemOf(target);
    const element = item === undefined ? undefined : this.#list.elementOf(item);
    const row = element && this.#rows.get(element);
    return row && { item: item!, row };
  }

  #clicked(event: MouseEvent): void {
    const hit = this.#rowOf(event.target);
    if (!hit || hit.row.cell?.node.contains(event.target as Node)) return;
    this.#goTo(hit.item);
    this.#act(hit.item, event.shiftKey || event.ctrlKey || event.metaKey);
  }

  /** Asks about a column, or about one more; again lets go of it. */
  #act(item: number, more: boolean): void {
    const state = this.#state;
    if (item === OTHERS) {
      this.#focus = this.#content.others[0]!; // it goes on there
      this.#tell.opened();
    }
    if (item < 0) return;
    const { view } = state;
    const before = pickedColumns(view);
    const isPicked = before.has(item);
    const kept = more ? [...before].filter((one) => one !== item) : [];
    const alone = isPicked && (more || before.size === 1);
    const count = currentTable(view)?.columns.length ?? 0;
    pickRegion(state, columnsRegion(alone ? kept : [...kept, item], count));
  }

  #pressed(event: KeyboardEvent): void {
    const hit = this.#rowOf(event.target);
    if (!hit) return;
    const { item, row } = hit;
    if (event.target === row.cell?.input) {
      this.#typed(event, item, row);
      return;
    }
    if (stepByKey(this.#state, event) || event.ctrlKey || event.metaKey || event.altKey) return;
    const { key, shiftKey } = event;
    if (key === " " || (key === "Enter" && !shiftKey)) this.#act(item, shiftKey);
    else if (key === "Delete" || key === "Backspace") pickRegion(this.#state, null);
    else if (!this.#move(key)) return;
    event.preventDefault();
  }

  #move(key: string): boolean {
    const to = this.#items.filter((item) => item !== GAP);
    const last = to.length - 1;
    const present = to.indexOf(this.#focus);
    const place = {
      ArrowDown: present + 1,
      ArrowUp: present - 1,
      PageDown: present + PAGE,
      PageUp: present - PAGE,
      Home: 0,
      End: last,
    }[key];
    if (place === undefined) return false;
    this.#goTo(to[clamp(place, 0, last)]!);
    return true;
  }

  #goTo(item: number): void {
    this.#reach(item);
    const element = this.#list.elementOf(item);
    if (element) this.#rows.get(element)?.button?.focus({ preventScroll: true });
  }

  #reach(item: number): void {
    const before = this.#focus;
    this.#focus = item;
    this.#list.keep(item);
    this.#list.reveal(item);
    if (before !== item) this.#list.refresh([before, item]);
  }

  #entered({ target }: FocusEvent): void {
    const hit = this.#drawing ? undefined : this.#rowOf(target);
    if (!hit) return;
    if (hit.item !== this.#focus) this.#reach(hit.item);
    if (target !== hit.row.cell?.input) return;
    if (hit.row.cell.typed === undefined) hit.row.cell.write();
    hit.row.cell.input.select();
  }

  #left({ target }: FocusEvent): void {
    const hit = this.#drawing ? undefined : this.#rowOf(target);
    if (!hit) return;
    const { cell } = hit.row;
    if (cell?.input !== target) return;
    this.#stepping = false;
    this.#take(hit.item, hit.row);
    // Not before it has left: then as it stands in a list.
    if (cell.typed === undefined) queueMicrotask(() => cell.write());
    this.#tell.settled();
  }

  #typed(event: KeyboardEvent, item: number, row: ColumnRow): void {
    const cell = row.cell!;
    const steps = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (event.key === "Enter" && !event.shiftKey) {
      this.#stepping = false;
      this.#take(item, row);
      this.#tell.settled();
    } else if (event.key === "Escape" && cell.typed !== undefined) {
      cell.write();
      this.#refusal.clear();
      event.stopPropagation(); // the notebook would leave the cell
    } else if (steps !== undefined && !cell.input.readOnly) {
      const { view } = this.#state;
      const now = cell.typed === undefined ? undefined : parseCell(cell.typed);
      const from = now ?? this.#cells.value(view, item, 1);
      this.#stepping = true;
      this.#edit(item, row, this.#cells.stepped(item, from, steps));
    } else {
      return;
    }
    event.preventDefault();
  }

  /** Takes what was typed, if it is a number. */
  #take(item: number, row: ColumnRow): void {
    const cell = row.cell!;
    const { typed } = cell;
    if (typed === undefined) return;
    const value = parseCell(typed);
    cell.mark(value === undefined);
    if (value === undefined) {
      const came = typed.trim() === "" ? "nothing" : typed.trim();
      this.#refusal.say(`${columnName(this.#state.view, item)} must be a number, but ${came} came`);
    } else {
      this.#edit(item, row, value);
    }
  }

  #edit(item: number, row: ColumnRow, value: number): void {
    this.#refusal.clear();
    row.cell!.write(value);
    this.#cells.edit(item, value);
  }
}
