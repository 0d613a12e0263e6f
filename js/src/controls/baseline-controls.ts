/** The baseline, or several whose maps are averaged. */
import { disclosure } from "../lib/disclosure";
import { h, setClipped, setText } from "../lib/dom";
import { Menu } from "../lib/menu";
import { baselineItems, baselineLabel, choiceOf, chosenBaselines } from "../selection/baselines";
import { baselineThumbnail } from "../selection/thumbnails";
import type { State } from "../state/state";
import type { View } from "../state/view";
import { needKernel } from "./needs-kernel";
import { Refusal } from "./refusal";

export class BaselineControls {
  readonly menu: Menu;
  readonly refusal: Refusal;
  readonly #boxes = h("div", { class: "as-boxes" });
  readonly #hint = h("div", { class: "as-help" });
  readonly #checks = new Map<string, HTMLInputElement>();
  #built = "";
  readonly #state: State;

  constructor(state: State) {
    this.#state = state;
    const { signal } = state;
    this.menu = new Menu("Baseline", signal, (value) => {
      this.refusal.clear();
      state.choose("baseline", value);
    });
    this.menu.pictureOf = (value) => baselineThumbnail(state.view, value);
    const several = disclosure("Average over several", "as-several", signal);
    const set = h("fieldset", { class: "as-fieldset" }, this.#hint, this.#boxes);
    several.panel.append(set);
    this.menu.foot.append(several.button, several.panel);
    needKernel(state, this.menu.button, set);
    this.refusal = new Refusal(state.view, "baseline", [this.menu.button]);
    state.follow(this);
  }

  show(view: View): void {
    this.refusal.show(view);
    const items = baselineItems(view);
    const key = JSON.stringify(items);
    if (key !== this.#built) {
      this.#built = key;
      this.#build(items);
    }
    const names = chosenBaselines(view);
    const several = names.length > 1;
    this.menu.show(items, several ? "" : (names[0] ?? ""), baselineLabel(view));
    for (const [name, box] of this.#checks) box.checked = names.includes(name);
    setText(
      this.#hint,
      several
        ? `The map is the average of the maps from ${names.length} baselines.`
        : "Tick two or more: the map is the average of the maps from each of them.",
    );
  }

  #build(items: readonly { readonly value: string; readonly label: string }[]): void {
    this.#checks.clear();
    this.#boxes.replaceChildren(
      ...items.map(({ value, label }) => {
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
