/** One parameter of a method: its control, its help, and what was refused. */
import { freshId } from "../lib/disclosure";
import { h, setClipped } from "../lib/dom";
import { sameValue } from "../lib/equality";
import { parseSetting, settingOf, settingText, withSetting } from "../selection/settings";
import type { State } from "../state/state";
import type { ParameterInfo, SettingValue } from "../state/messages.generated";
import type { View } from "../state/view";
import { Refusal } from "./refusal";

type Control = HTMLInputElement | HTMLSelectElement;

function controlOf({ kind, choices, value, label }: ParameterInfo): Control {
  switch (kind) {
    case "bool":
      return h("input", { class: "as-check", type: "checkbox" });
    case "choice":
      return h(
        "select",
        { class: "as-select" },
        ...(choices ?? []).map((one) => h("option", { value: one }, one)),
      );
    default:
      return h("input", {
        class: "as-text",
        type: "text",
        inputmode: kind === "int" ? "numeric" : kind === "float" ? "decimal" : undefined,
        placeholder: value === null ? "automatic" : undefined,
        autocomplete: "off",
        spellcheck: "false",
        "data-parameter": label,
      });
  }
}

const isCheck = (control: Control): control is HTMLInputElement =>
  control instanceof HTMLInputElement && control.type === "checkbox";

function read(control: Control): string {
  return isCheck(control) ? String(control.checked) : control.value;
}

function write(control: Control, value: SettingValue): void {
  if (isCheck(control)) control.checked = value === true;
  else control.value = settingText(value);
}

export class SettingField {
  readonly node: HTMLElement;
  readonly #control: Control;
  readonly #refusal: Refusal;
  #shown: SettingValue | undefined;
  readonly #state: State;
  readonly #method: string;
  readonly #parameter: ParameterInfo;

  constructor(state: State, method: string, parameter: ParameterInfo) {
    this.#state = state;
    this.#method = method;
    this.#parameter = parameter;
    const { name, kind } = parameter;
    const control = controlOf(parameter);
    this.#control = control;
    this.#refusal = new Refusal(
      state.view,
      "settings",
      [control],
      (refused) => refused.method === method && refused.name === name,
    );
    const label = h("span", { class: "as-label" });
    setClipped(label, parameter.label || name, name);
    const box = kind === "choice" ? h("span", { class: "as-select-box" }, control) : control;
    this.node = h(
      "div",
      { class: "as-setting", "data-kind": kind },
      h("label", { class: "as-field" }, label, box),
      this.#refusal.node,
    );
    if (parameter.doc) {
      const help = h("div", { class: "as-help", id: freshId() });
      setClipped(help, parameter.doc);
      control.setAttribute("aria-describedby", help.id);
      this.node.append(help);
    }
    // "change" comes with Enter and with leaving the control alike.
    control.addEventListener("change", () => this.#commit(), { signal: state.signal });
  }

  show(view: View): void {
    this.#refusal.show(view);
    const now = settingOf(view.get("settings"), this.#method, this.#parameter);
    if (this.#shown !== undefined && sameValue(now, this.#shown)) return;
    this.#shown = now; // what is being typed stays until somebody sets another value
    write(this.#control, now);
  }

  #commit(): void {
    const state = this.#state;
    const control = this.#control;
    const refusal = this.#refusal;
    const method = this.#method;
    const parameter = this.#parameter;
    refusal.clear();
    const parsed = parseSetting(read(control), parameter);
    if ("reason" in parsed) {
      refusal.say(parsed.reason);
      return;
    }
    this.#shown = parsed.value;
    write(control, this.#shown);
    state.choose("settings", withSetting(state.view.get("settings"), method, parameter, parsed.value));
  }
}
