/** The settings of the method on show (the input's, a layer's or a neuron's). */
import { type Disclosure, disclosure } from "../lib/disclosure";
import { h, setAttribute, setText } from "../lib/dom";
import { button } from "../lib/form-controls";
import { methodOnShow } from "../selection/scope";
import { withMethod } from "../selection/settings";
import type { State } from "../state/state";
import type { View } from "../state/view";
import { needKernel } from "./needs-kernel";
import { SettingField } from "./setting-field";

export class SettingsForm {
  /** The button that opens the form, and the form. */
  readonly disclosure: Disclosure;
  readonly #fields = h("div", { class: "as-setting-list" });
  readonly #intro = h("div", { class: "as-help" });
  readonly #reset: HTMLButtonElement;
  #shown: readonly SettingField[] = [];
  #built = "";
  readonly #state: State;

  constructor(state: State) {
    this.#state = state;
    this.disclosure = disclosure("Settings", "as-settings", state.signal);
    this.#reset = button("as-button", "Reset to defaults", state.signal, () => {
      const { view } = state;
      state.choose("settings", withMethod(view.get("settings"), methodOnShow(view).name, {}));
    });
    const set = h("fieldset", { class: "as-fieldset" }, this.#intro, this.#fields, this.#reset);
    this.disclosure.panel.append(set);
    needKernel(state, set);
    state.follow(this);
  }

  show(view: View): void {
    const { button: toggle, panel, open } = this.disclosure;
    const { scope, name, info } = methodOnShow(view);
    const parameters = info?.parameters ?? [];
    const key = JSON.stringify([scope, name, parameters]);
    if (key !== this.#built) {
      this.#built = key;
      this.#shown = parameters.map((parameter) => new SettingField(this.#state, name, parameter));
      this.#fields.replaceChildren(...this.#shown.map(({ node }) => node));
      setText(this.#intro, info?.doc ?? "");
    }
    // The input's method stands beside the button; the others are picked elsewhere.
    const label = scope === "input" ? "Settings" : `Settings of ${info?.label ?? name}`;
    setText(toggle, label);
    setAttribute(panel, "aria-label", label);
    toggle.hidden = !view.has("settings") || parameters.length === 0;
    if (toggle.hidden && open) toggle.click();
    for (const field of this.#shown) field.show(view);
    this.#reset.disabled = !Object.hasOwn(view.get("settings"), name);
    toggle.dataset.changed = this.#reset.disabled ? "" : "1";
  }
}
