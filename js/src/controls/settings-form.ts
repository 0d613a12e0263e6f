/** The settings of the method on show (the input's, a layer's or a neuron's): one control for each parameter, with its help and what was refused. */
import { type Disclosure, disclosure, freshId } from "../lib/disclosure";
import { h, setAttribute, setClipped, setText } from "../lib/dom";
import { sameValue } from "../lib/equality";
import { button } from "../lib/form-controls";
import { methodOnShow } from "../selection/level";
import { parseSetting, settingOf, settingText, withMethod, withSetting } from "../selection/settings";
import type { State } from "../state/state";
import type { ParameterInfo, SettingValue } from "../state/traits";
import { needKernel } from "./needs-kernel";
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

/** One parameter; gives the element, and what brings it up to date. */
function field(
  state: State,
  method: string,
  parameter: ParameterInfo,
): { element: HTMLElement; update: () => void } {
  const control = controlOf(parameter);
  const label = h("span", { class: "as-label" });
  setClipped(label, parameter.label || parameter.name, parameter.name);
  const refusal = new Refusal(
    state,
    "settings",
    [control],
    (refused) => refused.method === method && refused.name === parameter.name,
  );
  const box = parameter.kind === "choice" ? h("span", { class: "as-select-box" }, control) : control;
  const element = h(
    "div",
    { class: "as-setting", "data-kind": parameter.kind },
    h("label", { class: "as-field" }, label, box),
    refusal.element,
  );
  if (parameter.doc) {
    const help = h("div", { class: "as-help", id: freshId() });
    setClipped(help, parameter.doc);
    control.setAttribute("aria-describedby", help.id);
    element.append(help);
  }
  const present = (): SettingValue => settingOf(state.get("settings") ?? {}, method, parameter);

  let shown: SettingValue | undefined;
  const commit = (): void => {
    refusal.clear();
    const parsed = parseSetting(read(control), parameter);
    if ("reason" in parsed) {
      refusal.show(parsed.reason);
      return;
    }
    shown = parsed.value;
    write(control, shown);
    state.choose("settings", withSetting(state.get("settings") ?? {}, method, parameter, parsed.value));
  };
  // "change" comes with Enter and with leaving the control alike.
  control.addEventListener("change", commit, { signal: state.signal });
  return {
    element,
    update: () => {
      const now = present();
      if (shown !== undefined && sameValue(now, shown)) return;
      shown = now; // what is being typed stays until somebody sets another value
      write(control, now);
    },
  };
}

const FOLLOWED = [
  "method",
  "methods",
  "layer",
  "layers",
  "layer_method",
  "layer_methods",
  "neuron",
  "neuron_method",
  "neuron_methods",
  "settings",
] as const;

export function settingsForm(state: State): Disclosure {
  const part = disclosure("Settings", "as-settings", state.signal);
  const fields = h("div", { class: "as-setting-list" });
  const intro = h("div", { class: "as-help" });
  const reset = button("as-button", "Reset to defaults", state.signal, () => {
    state.choose("settings", withMethod(state.get("settings") ?? {}, methodOnShow(state).name, {}));
  });
  const set = h("fieldset", { class: "as-fieldset" }, intro, fields, reset);
  part.panel.append(set);
  needKernel(state, set);

  let built: unknown;
  let updates: (() => void)[] = [];
  state.follow(FOLLOWED, () => {
    const { level, name, info } = methodOnShow(state);
    const parameters = info?.parameters ?? [];
    const key = JSON.stringify([level, name, parameters]);
    if (key !== built) {
      built = key;
      const made = parameters.map((parameter) => field(state, name, parameter));
      updates = made.map(({ update }) => update);
      fields.replaceChildren(...made.map(({ element }) => element));
      setText(intro, info?.doc ?? "");
    }
    // The input's method stands beside the button; the others are picked elsewhere.
    const label = level === "input" ? "Settings" : `Settings of ${info?.label ?? name}`;
    setText(part.button, label);
    setAttribute(part.panel, "aria-label", label);
    part.button.hidden = !state.has("settings") || parameters.length === 0;
    if (part.button.hidden && part.open) part.button.click();
    for (const update of updates) update();
    const settings = state.get("settings") ?? {};
    reset.disabled = !Object.hasOwn(settings, name);
    part.button.dataset.changed = reset.disabled ? "" : "1";
  });
  return part;
}
