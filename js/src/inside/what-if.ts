/** What if: a line that says what the model says without the neurons that are switched off, and the ways back. */
import { needKernel, whyOff } from "../controls/needs-kernel";
import { Refusal } from "../controls/refusal";
import { singleIndex } from "../data/messages";
import type { Change, WhatIf } from "../data/channels";
import { neuronName } from "../data/neurons";
import { card } from "../lib/card";
import { disclosure } from "../lib/disclosure";
import { clipped, focusNear, h, setClipped, setText } from "../lib/dom";
import { button, type Select, select } from "../lib/form-controls";
import { number, percent } from "../lib/format";
import { currentWhatIf } from "../selection/channels";
import { markOf } from "../selection/freshness";
import { nounOf, setAblated } from "../selection/neuron";
import type { State } from "../state/state";
import type { AblateTo } from "../state/messages.generated";
import type { View } from "../state/view";

const SET_TO: readonly { value: AblateTo; label: string }[] = [
  { value: "zero", label: "Zero" },
  { value: "baseline", label: "Its value at the baseline" },
];

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** What became of the explained class, and of the one that changed most besides. */
function changesText({ items, isScore }: WhatIf, target: number | undefined): string {
  const size = ({ before, after }: Change): number => Math.abs(after - before) || 0;
  const text = isScore ? number : percent;
  const explained = items.filter(({ index }) => index === target);
  const others = items.filter(({ index }) => index !== target).sort((a, b) => size(b) - size(a));
  return [...explained, ...others.slice(0, 2 - explained.length)]
    .map(({ label, before, after }) => `${label} ${text(before)} → ${text(after)}`)
    .join(", ");
}

const NOTE =
  "The model itself is not touched: the map goes on explaining it as it is, and only the predictions change.";

export class WhatIfCard {
  readonly node: HTMLElement;
  readonly #frame = card("as-whatif", "What if");
  readonly #list = h("ul", { class: "as-off", role: "list", "aria-label": "Switched off" });
  readonly #result = h("span", { class: "as-facts", dir: "auto" });
  readonly #message = h("div", { class: "as-warning", dir: "auto", hidden: true });
  readonly #setTo: Select;
  readonly #toRefusal: Refusal;
  #removes: readonly HTMLButtonElement[] = [];
  #built = "";
  readonly #state: State;
  readonly #refuge: () => HTMLElement | undefined;
  readonly #refusal: Refusal;

  /** `refuge` is where the focus goes when the card goes; `refusal` says what cannot be switched off. */
  constructor(state: State, refuge: () => HTMLElement | undefined, refusal: Refusal) {
    this.#state = state;
    this.#refuge = refuge;
    this.#refusal = refusal;
    const { signal, view } = state;
    this.node = this.#frame.element;
    const undo = button("as-button", "Undo", signal, () => this.#keep((_, i, { length }) => i < length - 1));
    undo.title = "Switch the last one on again";
    const clear = button("as-button", "Clear", signal, () => this.#keep(() => false));
    clear.title = "Switch all on again";
    this.#setTo = select("Set to", signal, (value) => {
      this.#toRefusal.clear();
      state.choose("ablate_to", value as AblateTo);
    });
    needKernel(state, undo, clear, this.#setTo.input);
    this.#toRefusal = new Refusal(view, "ablate_to", [this.#setTo.input]);
    this.#setTo.element.hidden = !view.has("ablate_to");
    const more = disclosure("Details", "as-whatif-more", signal);
    more.panel.append(
      this.#list,
      h("div", { class: "as-actions" }, this.#setTo.element, clear),
      this.#toRefusal.node,
      h("div", { class: "as-note" }, NOTE),
    );
    const { head, title } = this.#frame;
    head.prepend(h("div", { class: "as-whatif-words", "aria-live": "polite" }, title, " ", this.#result));
    head.append(undo, more.button);
    this.node.append(this.#message, more.panel);
    state.follow(this);
  }

  show(view: View): void {
    this.#toRefusal.show(view);
    const { node } = this;
    const ablated = view.get("ablated");
    const held = node.contains(focusNear(node));
    this.#build(
      ablated.map(([layer, neuron]) => {
        return `${layer || "the model"}: ${neuronName(neuron, nounOf(view, layer))}`;
      }),
    );
    node.hidden = ablated.length === 0;
    if (node.hidden) {
      if (held) this.#refuge()?.focus();
      return;
    }
    setClipped(this.#frame.title, `${this.#what(view)} switched off:`);
    const why = whyOff(view.kernel);
    for (const one of this.#removes) one.disabled = why !== undefined;
    this.#setTo.show(SET_TO, view.get("ablate_to"));
    this.#showAnswer(view);
  }

  /** What is switched off: the neuron, or how many there are. */
  #what(view: View): string {
    const ablated = view.get("ablated");
    const [first] = ablated;
    if (!first || ablated.length > 1) return String(ablated.length);
    const [layer, neuron] = first;
    const name = capital(neuronName(neuron, nounOf(view, layer)));
    return layer === view.get("layer") ? name : `${name} of ${layer || "the model"}`;
  }

  #showAnswer(view: View): void {
    const answer = currentWhatIf(view);
    this.#frame.mark(answer ? undefined : markOf(view, true), false);
    setText(this.#result, answer ? changesText(answer, singleIndex(view.get("target"))) : "");
    setText(this.#message, answer?.message ?? "");
    this.#message.hidden = !answer?.message;
  }

  #build(names: readonly string[]): void {
    const key = JSON.stringify(names);
    if (key === this.#built) return;
    this.#built = key;
    const held = this.#removes.findIndex((one) => one.matches(":focus"));
    this.#removes = names.map((name, i) => {
      const element = button("as-link", "×", this.#state.signal, () => this.#keep((_, j) => j !== i));
      element.setAttribute("aria-label", `Switch on again: ${name}`);
      element.title = "Switch on again";
      return element;
    });
    this.#list.replaceChildren(
      ...names.map((name, i) => h("li", {}, clipped("as-name", name), this.#removes[i]!)),
    );
    if (held >= 0) this.#removes[Math.min(held, names.length - 1)]?.focus();
  }

  /** Switches on again all but these. */
  #keep(stays: (one: unknown, i: number, all: readonly unknown[]) => boolean): void {
    this.#refusal.clear();
    setAblated(this.#state, this.#state.view.get("ablated").filter(stays));
  }
}
