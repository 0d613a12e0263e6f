/** A line of a chart's key: which curve, and its value at the marker. */
import { clipped, h, setAttribute, setText } from "../lib/dom";
import { number } from "../lib/format";

export class ChartKey {
  readonly label = clipped("as-key-label");
  readonly element: HTMLElement;
  readonly #value = h("span", { class: "as-number" });

  constructor(className: string) {
    this.element = h("span", { class: `as-key ${className}` }, this.label, this.#value);
  }

  show(value: number | undefined): void {
    setAttribute(this.element, "data-unknown", value === undefined ? "1" : undefined);
    setText(this.#value, value === undefined ? "" : number(value));
  }
}
