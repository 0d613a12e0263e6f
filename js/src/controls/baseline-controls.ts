/** The baseline, or several whose maps are averaged. */
import { type Disclosure, disclosure } from "../lib/disclosure";
import { h, setClipped, setText } from "../lib/dom";
import { type Option, select } from "../lib/form-controls";
import { baselineLabel, choiceOf, namesOf } from "../selection/baselines";
import type { State } from "../state/state";
import { needKernel } from "./needs-kernel";
import { Refusal } from "./refusal";

const SEVERAL = "\n"; // no baseline is called like this

export interface BaselineControls extends Disclosure {
  readonly element: HTMLElement;
  readonly refusal: HTMLElement;
}

export function baselineControls(state: State): BaselineControls {
  const { signal } = state;
  const one = select("Baseline", signal, (value) => {
    refusal.clear();
    if (value !== SEVERAL) state.choose("baseline", value);
  });
  const part = disclosure("Average over several", "as-several", signal);
  const boxes = h("div", { class: "as-boxes" });
  const hint = h("div", { class: "as-help" });
  const set = h("fieldset", { class: "as-fieldset" }, hint, boxes);
  part.panel.append(set);
  needKernel(state, one.input, set);
  const refusal = new Refusal(state, "baseline", [one.input]);

  const known = new Map<string, HTMLInputElement>();
  const toggled = (): void => {
    refusal.clear();
    const names = [...known].filter(([, box]) => box.checked).map(([name]) => name);
    const choice = choiceOf(names);
    if (choice !== undefined) state.choose("baseline", choice);
    else show(); // the last one stays
  };
  const build = (options: readonly Option[]): void => {
    known.clear();
    boxes.replaceChildren(
      ...options.map(({ value, label }) => {
        const box = h("input", { class: "as-check", type: "checkbox", value });
        box.addEventListener("change", toggled, { signal });
        known.set(value, box);
        const text = h("span");
        setClipped(text, label);
        return h("label", { class: "as-box" }, box, text);
      }),
    );
  };

  let built = "";
  const show = (): void => {
    const options = (state.get("baselines") ?? []).map(({ name, label }) => ({ value: name, label }));
    const key = JSON.stringify(options);
    if (key !== built) {
      built = key;
      build(options);
    }
    const names = namesOf(state.get("baseline"));
    const several = names.length > 1;
    one.show(
      several ? [...options, { value: SEVERAL, label: baselineLabel(state) }] : options,
      several ? SEVERAL : (names[0] ?? ""),
    );
    for (const [name, box] of known) box.checked = names.includes(name);
    setText(
      hint,
      several
        ? `The map is the average of the maps from ${names.length} baselines.`
        : "Tick two or more: the map is the average of the maps from each of them.",
    );
  };
  state.follow(["baseline", "baselines"], show);
  return {
    element: one.element,
    refusal: refusal.element,
    button: part.button,
    panel: part.panel,
    get open() {
      return part.open;
    },
  };
}
