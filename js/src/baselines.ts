/** The baseline, or several whose maps are averaged. */
import { h, select, setClipped, setText, type Option } from "./dom";
import { type Disclosure, disclosure } from "./disclosure";
import { needKernel } from "./kernel";
import { Refusal } from "./refusal";
import type { State } from "./state";
import type { Baseline } from "./traits";

/** The names in a choice of baselines. */
export function namesOf(baseline: Baseline | undefined): readonly string[] {
  if (baseline === undefined) return [];
  return typeof baseline === "string" ? [baseline] : baseline;
}

/** One name alone, or the list; undefined for none, which is no choice. */
export function choiceOf(names: readonly string[]): Baseline | undefined {
  return names.length > 1 ? names : names[0];
}

/** What to call a choice of baselines. */
export function baselineLabel(state: State): string {
  const names = namesOf(state.get("baseline"));
  if (names.length > 1) return `Average of ${names.length}`;
  const name = names[0] ?? "";
  return state.get("baselines")?.find((one) => one.name === name)?.label ?? name;
}

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
