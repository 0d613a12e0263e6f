/** The baseline, or several whose maps are averaged. */
import { type Disclosure, disclosure } from "../lib/disclosure";
import { h, setClipped, setText } from "../lib/dom";
import { type Option, type Select, select } from "../lib/form-controls";
import { baselineLabel, choiceOf, chosenBaselines } from "../selection/baselines";
import type { State } from "../state/state";
import type { View } from "../state/view";
import { needKernel } from "./needs-kernel";
import { Refusal } from "./refusal";

const SEVERAL = "\n"; // no baseline is called like this

export class BaselineControls {
  readonly select: HTMLElement;
  /** Opens the boxes for several. */
  readonly several: Disclosure;
  readonly refusal: Refusal;
  readonly #one: Select;
  readonly #boxes = h("div", { class: "as-boxes" });
  readonly #hint = h("div", { class: "as-help" });
  readonly #checks = new Map<string, HTMLInputElement>();
  #built = "";
  readonly #state: State;

  constructor(state: State) {
    this.#state = state;
    const { signal } = state;
    this.#one = select("Baseline", signal, (value) => {
      this.refusal.clear();
      if (value !== SEVERAL) state.choose("baseline", value);
    });
    this.select = this.#one.element;
    this.several = disclosure("Average over several", "as-several", signal);
    const set = h("fieldset", { class: "as-fieldset" }, this.#hint, this.#boxes);
    this.several.panel.append(set);
    needKernel(state, this.#one.input, set);
    this.refusal = new Refusal(state.view, "baseline", [this.#one.input]);
    state.follow(this);
  }

  show(view: View): void {
    this.refusal.show(view);
    const options = view.get("baselines").map(({ name, label }) => ({ value: name, label }));
    const key = JSON.stringify(options);
    if (key !== this.#built) {
      this.#built = key;
      this.#build(options);
    }
    const names = chosenBaselines(view);
    const several = names.length > 1;
    this.#one.show(
      several ? [...options, { value: SEVERAL, label: baselineLabel(view) }] : options,
      several ? SEVERAL : (names[0] ?? ""),
    );
    for (const [name, box] of this.#checks) box.checked = names.includes(name);
    setText(
      this.#hint,
      several
        ? `The map is the average of the maps from ${names.length} baselines.`
        : "Tick two or more: the map is the average of the maps from each of them.",
    );
  }

  #build(options: readonly Option[]): void {
    this.#checks.clear();
    this.#boxes.replaceChildren(
      ...options.map(({ value, label }) => {
        const box = h("input", { class: "as-check", type: "checkbox", value });
        box.addEventListener("change", () => this.#toggled(), { signal: this.#state.signal });
        this.#checks.set(value, box);
        const text = h("span");
        setClipped(text, label);
        return h("label", { class: "as-box" }, box, text);
      }),
    );
  }

  #toggled(): void {
    this.refusal.clear();
    const names = [...this.#checks].filter(([, box]) => box.checked).map(([name]) => name);
    const choice = choiceOf(names);
    if (choice !== undefined) this.#state.choose("baseline", choice);
    else this.show(this.#state.view); // the last one stays
  }
}
