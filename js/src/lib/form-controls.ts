/** Native controls with their labels: sliders, select boxes, buttons. */
import { clamp, focusNear, h, setAttribute, setText, setVariable } from "./dom";

/** A labelled native slider; `show` puts a value into the handle, the value text and the number beside it. */
export interface Slider {
  readonly element: HTMLElement;
  readonly input: HTMLInputElement;
  show(value: number, text: string): void;
}

export function showRange(input: HTMLInputElement, value: number, text: string): void {
  const low = Number(input.min);
  const high = Number(input.max);
  // Setting the value of a slider in the hand would fight the drag only if it differed.
  if (Number(input.value) !== value) input.value = String(value);
  setVariable(input, "--as-fill", clamp((value - low) / (high - low), 0, 1).toFixed(4));
  setAttribute(input, "aria-valuetext", text);
}

export function slider(
  label: string,
  range: { min: number; max: number; step: number },
  signal: AbortSignal,
  changed: (value: number) => void,
): Slider {
  const input = h("input", { class: "as-range", type: "range", ...range });
  const output = h("span", { class: "as-value", "aria-hidden": "true" });
  const element = h(
    "label",
    { class: "as-field as-field-slider" },
    h("span", { class: "as-label" }, label),
    input,
    output,
  );
  setAttribute(input, "aria-label", label); // without the number, which is the value text
  input.addEventListener("input", () => changed(Number(input.value)), { signal });
  return {
    element,
    input,
    show(value, text) {
      showRange(input, value, text);
      setText(output, text);
    },
  };
}

export interface Option {
  readonly value: string;
  readonly label: string;
  readonly group?: string;
}

/** A labelled native select box. */
export interface Select {
  readonly element: HTMLElement;
  readonly input: HTMLSelectElement;
  show(options: readonly Option[], value: string): void;
}

export function select(label: string, signal: AbortSignal, changed: (value: string) => void): Select {
  const input = h("select", { class: "as-select", "aria-label": label });
  const element = h(
    "label",
    { class: "as-field" },
    h("span", { class: "as-label" }, label),
    h("span", { class: "as-select-box" }, input),
  );
  input.addEventListener("change", () => changed(input.value), { signal });
  let shown = "";
  return {
    element,
    input,
    show(options, value) {
      const key = JSON.stringify(options);
      if (key !== shown) {
        shown = key;
        input.replaceChildren(...optionElements(options));
      }
      if (input.value !== value) input.value = value;
    },
  };
}

function optionElements(options: readonly Option[]): HTMLElement[] {
  const elements: HTMLElement[] = [];
  const groups = new Map<string, HTMLOptGroupElement>();
  for (const { value, label, group } of options) {
    const option = h("option", { value }, label);
    if (group === undefined) {
      elements.push(option);
      continue;
    }
    let parent = groups.get(group);
    if (!parent) {
      parent = h("optgroup", { label: group });
      groups.set(group, parent);
      elements.push(parent);
    }
    parent.append(option);
  }
  return elements;
}

/** A button of text; the label is its accessible name. */
export function button(
  className: string,
  label: string,
  signal: AbortSignal,
  pressed: () => void,
): HTMLButtonElement {
  const element = h("button", { class: className, type: "button" }, label);
  const press = (): void => {
    if (element.getAttribute("aria-disabled") !== "true") pressed();
  };
  element.addEventListener("click", press, { signal });
  return element;
}

/** Switches a button off or on. A disabled one would lose the focus: while it has that it stays, and does nothing. */
export function setOff(element: HTMLButtonElement, off: boolean): void {
  const held = off && focusNear(element) === element;
  setAttribute(element, "aria-disabled", held ? "true" : undefined);
  element.disabled = off && !held;
}
