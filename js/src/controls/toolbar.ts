/** The toolbar: what is computed, and how far that is. */
import { h } from "../lib/dom";
import { type Select, select } from "../lib/form-controls";
import { pickMethod } from "../selection/methods";
import type { State } from "../state/state";
import type { View } from "../state/view";
import { BaselineControls } from "./baseline-controls";
import { JobControls } from "./job-controls";
import { needKernel } from "./needs-kernel";
import { Refusal } from "./refusal";
import { SettingsForm } from "./settings-form";

export class Toolbar {
  /** The bar, and what opens below it. */
  readonly nodes: readonly HTMLElement[];
  readonly #method: Select;
  readonly #refusal: Refusal;

  constructor(state: State) {
    this.#method = select("Method", state.signal, (value) => {
      this.#refusal.clear();
      pickMethod(state, value);
    });
    needKernel(state, this.#method.input);
    this.#refusal = new Refusal(state.view, "method", [this.#method.input]);
    const settings = new SettingsForm(state).disclosure;
    const baseline = new BaselineControls(state);
    const job = new JobControls(state);
    const bar = h(
      "div",
      { class: "as-toolbar" },
      h("div", { class: "as-choice" }, this.#method.element, settings.button, this.#refusal.node),
      h("div", { class: "as-choice" }, baseline.select, baseline.several.button, baseline.refusal.node),
      job.node,
      job.progress,
    );
    this.nodes = [bar, settings.panel, baseline.several.panel];
    state.follow(this);
  }

  show(view: View): void {
    this.#refusal.show(view);
    const methods = view.get("methods");
    const name = view.get("method");
    this.#method.show(
      methods.map((info) => ({ value: info.name, label: info.label })),
      name,
    );
    this.#method.element.title = methods.find((info) => info.name === name)?.doc ?? "";
  }
}
