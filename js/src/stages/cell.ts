/** A cell that can be edited: a field with the value, and a line that says where in the column's range it lies. */
import { clamp, focusNear, h, setAttribute, setVariable } from "../lib/dom";
import { number } from "../lib/format";

/** As many letters as the field has room for. */
const ROOM = 6;

/** A number in as many digits as tell it from others: those of single precision where it is one. */
export function exact(value: number): string {
  if (Math.fround(value) !== value) return String(value);
  for (let digits = 1; digits < 10; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return String(short);
  }
  return String(value);
}

/** A value as it stands in a cell: whole where it is short. */
export function cellText(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "" : number(value);
  const whole = exact(value);
  return whole.length <= ROOM ? whole.replace("-", "−") : number(value);
}

/** What was typed as a number; undefined where it is none. */
export function parseCell(text: string): number | undefined {
  const typed = text.trim().replace("−", "-");
  const value = typed === "" ? NaN : Number(typed);
  return Number.isFinite(value) ? value : undefined;
}

export interface CellContent {
  /** Of the column. */
  readonly name: string;
  readonly value: number;
  readonly low: number;
  readonly high: number;
  /** In how many rows that range was seen. */
  readonly rows: number;
  readonly edited: boolean;
  /** What stood there before; undefined where that is not known. */
  readonly was: number | undefined;
  /** Why it cannot be edited now. */
  readonly locked: string | undefined;
  /** Tab reaches it. */
  readonly reached: boolean;
}

function titleOf({ value, low, high, rows, edited, was, locked }: CellContent): string {
  const lines: string[] = [Number.isNaN(value) ? "missing" : exact(value)];
  if (edited)
    lines.push(was === undefined ? "edited" : `edited, was ${Number.isNaN(was) ? "missing" : exact(was)}`);
  if (Number.isFinite(low) && Number.isFinite(high)) {
    const isOutside = value < low || value > high;
    lines.push(
      isOutside
        ? `outside the range of the ${rows.toLocaleString("en-US")} rows, ${exact(low)} to ${exact(high)}`
        : `the rows have ${exact(low)} to ${exact(high)}`,
    );
  }
  if (locked) lines.push(locked);
  return lines.join("\n");
}

export class Cell {
  readonly input = h("input", {
    class: "as-text as-cell-input",
    type: "text",
    inputmode: "decimal",
    placeholder: "missing",
    autocomplete: "off",
    spellcheck: "false",
  });
  readonly #range = h("span", { class: "as-cell-range", "aria-hidden": "true" });
  readonly node = h("span", { class: "as-cell" }, this.input, this.#range);
  #value = NaN;
  /** What was written into the field, not typed. */
  #written = "";

  show(content: CellContent): void {
    const { input } = this;
    const { name, value, low, high, edited, locked, reached } = content;
    const isNew = !Object.is(value, this.#value);
    this.#value = value;
    if (isNew || !this.#isTyping) this.write();
    setAttribute(input, "aria-label", `Value of ${name}`);
    setAttribute(input, "tabindex", reached ? "0" : "-1");
    input.readOnly = locked !== undefined;
    setAttribute(this.node, "data-edited", edited ? "1" : undefined);
    const known = high > low && Number.isFinite(value);
    setAttribute(this.#range, "data-unknown", known ? undefined : "1");
    setAttribute(this.node, "data-outside", value < low || value > high ? "1" : undefined);
    if (known) setVariable(this.#range, "--as-at", clamp((value - low) / (high - low), 0, 1).toFixed(4));
    const title = titleOf(content);
    if (input.title !== title) input.title = title;
  }

  /** What was typed; undefined where nothing was. */
  get typed(): string | undefined {
    return this.#isTyping ? this.input.value : undefined;
  }

  /** Whether what was typed is no number. */
  mark(wrong: boolean): void {
    setAttribute(this.input, "aria-invalid", wrong ? "true" : undefined);
  }

  /** Puts the value into the field, in whole while somebody is in it. */
  write(value = this.#value): void {
    const { input } = this;
    const inside = focusNear(input) === input;
    const text = inside && Number.isFinite(value) ? exact(value) : cellText(value);
    this.#written = text;
    if (input.value !== text) input.value = text;
    this.mark(false);
  }

  get #isTyping(): boolean {
    return this.input.value !== this.#written;
  }
}
