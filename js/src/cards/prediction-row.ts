/** One class of the predictions: its bar, its number, and what can be done with it. */
import { barSpan } from "../lib/bars";
import { clipped, h, setAttribute, setClipped, setText, setVariable } from "../lib/dom";
import { aligned, number, percent, points, signed } from "../lib/format";
import type { Prediction, Predictions } from "../selection/predictions";

/** What is chosen about a class, and what can be. */
export interface Standing {
  readonly explained: boolean;
  /** The explained class is compared with it. */
  readonly against: boolean;
  /** The example is of it. */
  readonly isTrue: boolean;
  readonly comparable: boolean;
  /** It cannot be picked. */
  readonly off: boolean;
  /** Tab reaches it. */
  readonly reached: boolean;
}

/** What came of a change: in percentage points, or in the score's units. */
function changeText({ amount, before }: Prediction, isScore: boolean): string {
  if (before === undefined) return "";
  return isScore ? signed(amount - before) : points(amount - before);
}

/** Scores stand below one another with as many decimals for all. */
function amountText(item: Prediction, amount: number, { items, isScore }: Predictions): string {
  if (!isScore) return percent(amount);
  return aligned(items.map((one) => one.amount))[items.indexOf(item)]!;
}

/** Words for those who listen. */
function noteText({ before, isNew }: Prediction, isScore: boolean, against: boolean): string {
  const was = before === undefined ? "" : `, before ${isScore ? number(before) : percent(before)}`;
  return `${was}${isNew ? ", new among the best" : ""}${against ? ", compared with" : ""}`;
}

export class PredictionRow {
  readonly node: HTMLElement;
  readonly #label = clipped("as-name");
  readonly #true = h("span", { class: "as-true", title: "The true class of this example" });
  readonly #note = h("span", { class: "as-sizeless" });
  readonly #value = h("span");
  readonly #change = h("span", { class: "as-change" });
  readonly #versus = h("span", { class: "as-versus", "aria-hidden": "true" }); // for pointers; keys have "c"

  constructor(readonly index: number) {
    const label = this.#label;
    const value = this.#value;
    const change = this.#change;
    const note = this.#note;
    const versus = this.#versus;
    const bar = h(
      "span",
      { class: "as-track", "aria-hidden": "true" },
      h("span", { class: "as-amount" }),
      h("span", { class: "as-was" }),
    );
    this.node = h(
      "div",
      { class: "as-option", role: "option", "data-index": index, "aria-selected": "false" },
      h("span", { class: "as-class" }, label, this.#true),
      bar,
      h("span", { class: "as-number" }, value, change, note),
      versus,
    );
  }

  show(item: Prediction, among: Predictions, standing: Standing): void {
    const { node } = this;
    this.#showAmount(item, among);
    setClipped(this.#label, item.label, `${item.label} (output ${item.index}, score ${number(item.score)})`);
    setText(this.#note, noteText(item, among.isScore, standing.against));
    this.#true.hidden = !standing.isTrue;
    setText(this.#true, standing.isTrue ? "true" : "");
    setAttribute(node, "data-new", item.isNew ? "1" : undefined);
    setAttribute(node, "aria-selected", String(standing.explained));
    setAttribute(node, "data-contrast", standing.against ? "1" : undefined);
    setAttribute(node, "aria-keyshortcuts", standing.comparable ? "c" : undefined);
    setAttribute(node, "aria-disabled", standing.off && !standing.explained ? "true" : undefined);
    setAttribute(node, "tabindex", standing.reached ? "0" : "-1");
    this.#versus.hidden = !standing.comparable;
    this.#versus.title = standing.against
      ? `Compare with ${item.label} no more (key c)`
      : `Explain rather than ${item.label} (key c)`;
  }

  #showAmount(item: Prediction, among: Predictions): void {
    const { node } = this;
    const { low, high, onTheWay, isScore } = among;
    const walked = onTheWay?.get(item.index);
    const amount = walked ?? item.amount;
    const { from, to } = barSpan(amount, low, high);
    // A score by itself is no share of anything: its bar would reach from end to end whatever it is.
    const alone = isScore && among.items.length === 1 && item.before === undefined;
    setAttribute(node, "data-alone", alone ? "1" : undefined);
    setVariable(node, "--as-from", from.toFixed(4));
    setVariable(node, "--as-to", to.toFixed(4));
    setText(this.#value, amountText(item, amount, among));
    setText(this.#change, changeText(item, isScore));
    const was = item.before === undefined ? undefined : barSpan(item.before, low, high);
    setVariable(node, "--as-was", ((was && (item.before! < 0 ? was.from : was.to)) ?? 0).toFixed(4));
    setAttribute(node, "data-unknown", onTheWay && walked === undefined ? "1" : undefined);
  }
}
