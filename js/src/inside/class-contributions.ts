/** What a neuron contributes to each of the top classes: bars around zero. */
import { singleIndex } from "../data/messages";
import { barSpan } from "../lib/bars";
import { clipped, h, setAttribute, setText, setVariable } from "../lib/dom";
import { aligned } from "../lib/format";
import type { NeuronClass, Target } from "../state/messages.generated";

class Row {
  readonly element: HTMLElement;
  readonly amount = h("span");
  readonly note = h("span", { class: "as-sizeless" });

  constructor(label: string) {
    this.element = h(
      "li",
      { class: "as-share" },
      clipped("as-name", label),
      h("span", { class: "as-track", "aria-hidden": "true" }, h("span", { class: "as-amount" })),
      h("span", { class: "as-number" }, this.amount, this.note),
    );
  }
}

export class ClassContributions {
  readonly elements: readonly HTMLElement[];
  readonly #heading = h("div", { class: "as-label" }, "Contribution to the top classes");
  readonly #list = h("ul", { class: "as-shares", role: "list" });
  #rows: readonly Row[] = [];
  #built = "";

  constructor() {
    this.elements = [this.#heading, this.#list];
  }

  /** Without amounts (`known`) the classes stay, with nothing said about them. */
  show(items: readonly NeuronClass[], known: boolean, target: Target): void {
    this.#build(items);
    const values = items.map(({ contribution }) => (known ? (contribution ?? NaN) : NaN));
    const limit = Math.max(...values.map(Math.abs).filter(Number.isFinite));
    const texts = aligned(values);
    const explained = singleIndex(target);
    items.forEach(({ index, contribution }, i) => {
      const { element, amount, note } = this.#rows[i]!;
      const value = values[i]!;
      const { from, to } = barSpan(value, -limit, limit);
      setVariable(element, "--as-from", from.toFixed(4));
      setVariable(element, "--as-to", to.toFixed(4));
      const unknown = !known || contribution === null;
      setText(amount, unknown ? "–" : value > 0 ? `+${texts[i]}` : texts[i]!);
      setText(note, index === explained ? ", explained" : "");
      setAttribute(element, "data-explained", index === explained ? "1" : undefined);
    });
    this.#heading.hidden = items.length === 0;
  }

  #build(items: readonly NeuronClass[]): void {
    const key = JSON.stringify(items.map(({ index, label }) => [index, label]));
    if (key === this.#built) return;
    this.#built = key;
    this.#rows = items.map(({ label }) => new Row(label));
    this.#list.replaceChildren(...this.#rows.map(({ element }) => element));
  }
}
