/** One step of the waterfall: a column with its value, its bar and its number; or several columns together. */
import { clipped, h, setAttribute, setClipped, setText, setVariable } from "../lib/dom";
import { aligned, signed } from "../lib/format";
import { Cell, type CellContent, cellText } from "./cell";
import { GAP, OTHERS, type Step } from "./waterfall";

export interface RowContent {
  readonly label: string;
  /** Where its bar lies; undefined where there is no map. */
  readonly step: Step | undefined;
  readonly low: number;
  readonly high: number;
  /** The largest number by size, which says how many decimals all have. */
  readonly largest: number;
  /** Whether each bar begins where the one before ended. */
  readonly flows: boolean;
  /** The cell of a column. */
  readonly cell: CellContent | undefined;
  readonly picked: boolean;
  /** Tab reaches it. */
  readonly reached: boolean;
  /** What it tells when pointed at. */
  readonly title: string;
}

const shareOf = (value: number, low: number, high: number): number =>
  high > low ? (value - low) / (high - low) : 0;

export class ColumnRow {
  readonly node: HTMLElement;
  /** What asks about the column, or opens the others; undefined for what is not explained. */
  readonly button: HTMLElement | undefined;
  readonly cell: Cell | undefined;
  readonly #name = clipped("as-column-name");
  readonly #bar = h("span", { class: "as-fall", "aria-hidden": "true" }, h("span", { class: "as-fall-bar" }));
  readonly #number = h("span", { class: "as-number as-fall-number" });
  readonly #kind: "column" | "others" | "gap";

  constructor(item: number) {
    this.#kind = item === OTHERS ? "others" : item === GAP ? "gap" : "column";
    const isGap = item === GAP;
    // No button of HTML: that one is pressed by keys on its own, and knows nothing of those held along.
    this.button = isGap ? undefined : h("div", { class: "as-column-pick", role: "button" }, this.#name);
    this.cell = item >= 0 ? new Cell() : undefined;
    if (!isGap) this.#number.setAttribute("aria-hidden", "true"); // the button says it
    this.node = h(
      "div",
      { class: "as-column", role: "listitem", "data-kind": this.#kind },
      this.button ?? this.#name,
      this.cell?.node ?? h("span"),
      this.#bar,
      this.#number,
    );
  }

  show(content: RowContent): void {
    const { label, step, low, high, largest, flows, cell, picked, reached, title } = content;
    const { node, button } = this;
    setClipped(this.#name, label, title);
    const value = step?.value ?? NaN;
    const hasNumber = step !== undefined && (this.#kind !== "others" || flows);
    const [rounded] = aligned([value, largest]);
    const text = hasNumber ? `${value > 0 ? "+" : ""}${rounded!}` : "";
    setText(this.#number, text);
    this.#number.title = hasNumber ? signed(value) : "";
    setAttribute(node, "data-sign", value < 0 ? "-" : value > 0 ? "+" : undefined);
    this.#showBar(hasNumber ? step : undefined, low, high);
    setAttribute(node, "data-flows", flows ? "1" : undefined);
    setAttribute(node, "data-picked", picked ? "1" : undefined);
    if (cell) this.cell?.show(cell);
    if (!button) return;
    setAttribute(button, "tabindex", reached ? "0" : "-1");
    const amount = cell && (Number.isNaN(cell.value) ? "missing" : cellText(cell.value));
    setAttribute(button, "aria-label", [label, amount, text].filter(Boolean).join(", "));
    if (this.#kind === "column") setAttribute(button, "aria-pressed", String(picked));
    else setAttribute(button, "aria-expanded", "false");
  }

  #showBar(step: Step | undefined, low: number, high: number): void {
    const bar = this.#bar;
    setAttribute(bar, "data-empty", step ? undefined : "1");
    if (!step) return;
    const [from, to] = [shareOf(step.from, low, high), shareOf(step.to, low, high)];
    setVariable(bar, "--as-from", Math.min(from, to).toFixed(4));
    setVariable(bar, "--as-to", Math.max(from, to).toFixed(4));
    setVariable(bar, "--as-end", to.toFixed(4));
  }
}
