/** The predictions: a list of classes with bars, also with some neurons switched off; picking one explains it. */
import { needKernel, whyOff } from "../controls/needs-kernel";
import { Refusal } from "../controls/refusal";
import { singleIndex } from "../data/messages";
import { card } from "../lib/card";
import { clipped, h, setAttribute, setClipped, setText } from "../lib/dom";
import { button, type Select, select } from "../lib/form-controls";
import { position } from "../lib/format";
import {
  canCompare,
  type Prediction,
  type Predictions,
  predictions,
  trueClass,
} from "../selection/predictions";
import { presentAlpha } from "../selection/displayed";
import { markOf } from "../selection/freshness";
import type { Output } from "../state/messages.generated";
import type { State } from "../state/state";
import type { View } from "../state/view";
import { PredictionRow } from "./prediction-row";

/** What the hint beside the title says. */
function hintText(view: View, { onTheWay, changed, items }: Predictions): string {
  if (onTheWay) return `at α = ${position(presentAlpha(view))}`;
  if (changed) return `with ${view.get("ablated").length} switched off`;
  const { output, doc = "" } = view.get("predictions");
  if (output === "boxes") return doc;
  if (view.has("output")) return ""; // how the numbers come about is said there
  return whyOff(view.kernel) || items.length < 2 ? "" : "pick one to explain it";
}

export class PredictionsCard {
  readonly node: HTMLElement;
  readonly #frame = card("as-predictions", "Predictions");
  readonly #hint = h("span", { class: "as-hint" });
  readonly #list = h("div", { class: "as-list", role: "listbox", "aria-label": "Predictions" });
  readonly #refusals: readonly Refusal[];
  #items: readonly Prediction[] = [];
  #rows: readonly PredictionRow[] = [];
  #focus = 0;
  readonly #state: State;

  constructor(state: State) {
    this.#state = state;
    const frame = this.#frame;
    const list = this.#list;
    const { signal, view } = state;
    this.node = frame.element;
    this.#refusals = (["target", "contrast"] as const).map((trait) => new Refusal(view, trait, [list]));
    frame.head.append(new OutputMenu(state).node, this.#hint);
    frame.element.append(list, new ContrastLine(state).node, ...this.#refusals.map(({ node }) => node));
    list.addEventListener("click", (event) => this.#clicked(event), { signal });
    list.addEventListener("keydown", (event) => this.#pressed(event), { signal });
    state.follow(this);
  }

  show(view: View): void {
    for (const refusal of this.#refusals) refusal.show(view);
    const now = predictions(view);
    this.#build(view, now.items);
    const awaited = !now.items.length && !view.get("predictions").shape; // of values with places nothing is to come
    setAttribute(this.#list, "data-empty", awaited ? "1" : undefined);
    const list = this.#list;
    const hint = this.#hint;
    const compares = view.has("contrast");
    const why = whyOff(view.kernel);
    hint.title = compares ? "vs, or the key c, compares with another class" : "";
    setText(hint, hintText(view, now));
    list.title = why ?? "";
    setAttribute(list, "data-compares", compares ? "1" : undefined);
    setAttribute(list, "data-changed", now.changed ? "1" : undefined);
    this.#frame.mark(now.awaited ? markOf(view, true) : undefined, false);
    const target = singleIndex(view.get("target"));
    const truth = trueClass(view);
    this.#rows.forEach((row, i) => {
      const item = now.items[i]!;
      row.show(item, now, {
        explained: item.index === target,
        against: item.index === view.get("contrast"),
        isTrue: item.index === truth,
        comparable: canCompare(view, item.index),
        off: why !== undefined,
        reached: i === this.#focus,
      });
    });
  }

  /** Makes rows for other classes; where they are the same, only the bars move. */
  #build(view: View, now: readonly Prediction[]): void {
    const rows = this.#rows;
    const list = this.#list;
    if (now === this.#items) return;
    const same = now.length === rows.length && now.every(({ index }, i) => index === rows[i]!.index);
    const held = rows.find(({ node }) => node.matches(":focus"))?.index;
    this.#items = now;
    if (same) return;
    this.#rows = now.map(({ index }) => new PredictionRow(index));
    list.replaceChildren(...this.#rows.map(({ node }) => node));
    const rowOf = (index: number | undefined): number => now.findIndex((item) => item.index === index);
    this.#focus = rowOf(held);
    if (this.#focus < 0) this.#focus = Math.max(0, rowOf(singleIndex(view.get("target"))));
    if (held !== undefined) this.#moveTo(this.#focus);
  }

  #pick(i: number): void {
    const state = this.#state;
    const item = this.#items[i];
    if (!item) return;
    for (const refusal of this.#refusals) refusal.clear();
    // Nothing is compared with itself.
    if (item.index === state.view.get("contrast")) state.choose("contrast", null);
    state.choose("target", item.index);
  }

  #compare(i: number): void {
    const state = this.#state;
    const item = this.#items[i];
    if (!item || !canCompare(state.view, item.index)) return;
    for (const refusal of this.#refusals) refusal.clear();
    state.choose("contrast", item.index === state.view.get("contrast") ? null : item.index);
  }

  #moveTo(i: number): void {
    this.#focus = Math.min(this.#rows.length - 1, Math.max(0, i));
    this.#rows.forEach(({ node }, j) => setAttribute(node, "tabindex", j === this.#focus ? "0" : "-1"));
    this.#rows[this.#focus]?.node.focus();
  }

  #clicked(event: MouseEvent): void {
    const i = this.#rows.findIndex(({ node }) => node.contains(event.target as Node));
    if (i < 0) return;
    this.#moveTo(i);
    if ((event.target as Element).closest(".as-versus")) this.#compare(i);
    else this.#pick(i);
  }

  #pressed(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const held = this.#rows.findIndex(({ node }) => node === event.target);
    if (held >= 0) this.#focus = held; // however the focus came there
    const focus = this.#focus;
    const to = { ArrowDown: focus + 1, ArrowUp: focus - 1, Home: 0, End: this.#rows.length - 1 }[event.key];
    if (to !== undefined) this.#moveTo(to);
    else if (event.key === "Enter" || event.key === " ") this.#pick(focus);
    else if (event.key === "c") this.#compare(focus);
    else return;
    event.preventDefault();
  }
}

/** What numbers with places may be. */
const MAP_KINDS: readonly { value: Output; label: string }[] = [
  { value: "segmentation", label: "classes, by share of the pixels" },
  { value: "values", label: "plain values" },
];

const OUTPUT_KINDS: readonly { value: Output; label: string }[] = [
  { value: "logits", label: "softmax of the scores" },
  { value: "probabilities", label: "probabilities" },
  { value: "sigmoid", label: "each by itself" },
  { value: "values", label: "plain values" },
];

/** How the numbers come about that are shown, and what else the model's numbers may be said to be. */
class OutputMenu {
  readonly node: HTMLElement;
  readonly #menu: Select;
  readonly #refusal: Refusal;

  constructor(state: State) {
    const menu = select("What the numbers are", state.signal, (value) =>
      state.choose("output", value as Output),
    );
    this.#menu = menu;
    this.#refusal = new Refusal(state.view, "output", [menu.input]);
    this.node = h("div", { class: "as-told" }, menu.element, this.#refusal.node);
    needKernel(state, menu.input);
    state.follow(this);
  }

  show(view: View): void {
    const { doc = "", items = [], output, shape } = view.get("predictions");
    this.node.hidden = !(items.length || shape) || !doc || !view.has("output") || output === "boxes";
    if (this.node.hidden) return;
    const found = view.get("output") === "auto" ? `auto: ${doc}` : "auto";
    const kinds = shape ? MAP_KINDS : OUTPUT_KINDS;
    this.#menu.show([{ value: "auto", label: found }, ...kinds], view.get("output"));
    this.#refusal.show(view);
  }
}

/** What is compared with what, and the way back. */
class ContrastLine {
  readonly node: HTMLElement;
  readonly #words = clipped("as-contrast-words");

  constructor(state: State) {
    const remove = button("as-link", "Remove contrast", state.signal, () => state.choose("contrast", null));
    this.node = h("div", { class: "as-contrast", hidden: true }, this.#words, remove);
    needKernel(state, remove);
    state.follow(this);
  }

  show(view: View): void {
    const target = singleIndex(view.get("target"));
    const against = view.get("contrast");
    const compared = against !== null && target !== undefined;
    const label = (index: number): string =>
      view.get("predictions").items?.find((item) => item.index === index)?.label ?? `output ${index}`;
    this.node.hidden = !compared;
    setClipped(this.#words, compared ? `${label(target)} rather than ${label(against)}` : "");
  }
}
