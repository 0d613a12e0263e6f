/**
 * The cells of the row on show: what stands in them, what stood there before they were edited, and their editing.
 *
 * What the kernel tells of a row has the edits in it already, so what was there before is what was told before them.
 */
import { clamp } from "../lib/dom";
import { currentTable } from "../selection/table";
import type { Edited, RawTable } from "../state/messages.generated";
import type { State } from "../state/state";
import type { View } from "../state/view";

/** A step of the arrow keys is this share of the range of a column. */
const STEP = 1 / 20;

/** Whether two numbers are one to a model, which computes in single precision. */
const isSame = (a: number, b: number): boolean => Object.is(a, b) || Math.fround(a) === Math.fround(b);

export class Cells {
  readonly #state: State;
  /** The values before anything was edited, by column. */
  readonly #given = new Map<number, number>();
  #edited: ReadonlyMap<number, number> = new Map();
  #source: RawTable | undefined;
  #example = -1;

  constructor(state: State) {
    this.#state = state;
  }

  show(view: View): void {
    const source = view.get("table");
    const example = view.get("example");
    this.#edited = new Map(view.get("edited"));
    if (source === this.#source && example === this.#example) return;
    if (example !== this.#example) this.#given.clear();
    this.#source = source;
    this.#example = example;
    currentTable(view)?.columns.forEach(({ value }, column) => {
      const edit = this.#edited.get(column);
      // What came late may hold the edit before the present one.
      const isGiven = edit === undefined || (!this.#given.has(column) && !isSame(edit, value));
      if (isGiven) this.#given.set(column, value);
    });
  }

  get count(): number {
    return this.#edited.size;
  }

  get columns(): readonly number[] {
    return [...this.#edited.keys()];
  }

  isEdited(column: number): boolean {
    return this.#edited.has(column);
  }

  /** What was there before it was edited; undefined where nobody here has seen that. */
  given(column: number): number | undefined {
    return this.#given.get(column);
  }

  /** What stands in a cell, also before the kernel has answered; on the way it is a mix with the baseline's. */
  value(view: View, column: number, alpha: number): number {
    const told = currentTable(view)?.columns[column]?.value ?? NaN;
    const value = this.#edited.get(column) ?? this.#given.get(column) ?? told;
    const from = alpha < 1 ? view.get("baseline_row")[column] : undefined;
    return typeof from === "number" ? from + alpha * (value - from) : value;
  }

  /** Gives a cell another value; the one that it had is no edit. */
  edit(column: number, value: number): void {
    const edits = new Map(this.#edited);
    const given = this.#given.get(column);
    if (given !== undefined && isSame(given, value)) edits.delete(column);
    else edits.set(column, value);
    this.#choose([...edits].sort(([a], [b]) => a - b));
  }

  undo(): void {
    this.#choose([]);
  }

  /** A value some steps away, as far as a step of its column goes. */
  stepped(column: number, from: number, steps: number): number {
    const { low = NaN, high = NaN } = currentTable(this.#state.view)?.columns[column] ?? {};
    const start = Number.isFinite(from) ? from : Number.isFinite(low) ? low : 0;
    const step = STEP * (high - low > 0 ? high - low : Math.abs(start) || 1 / STEP);
    const decimals = clamp(1 - Math.floor(Math.log10(step)), 0, 100);
    return Number((start + steps * step).toFixed(decimals));
  }

  #choose(edited: readonly Edited[]): void {
    this.#state.choose("edited", edited);
    this.#edited = new Map(this.#state.view.get("edited")); // before the next frame may come the next edit
  }
}
