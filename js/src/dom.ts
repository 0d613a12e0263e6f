/** The few DOM helpers the parts share. All text goes through text nodes, never through HTML. */

type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

/** Makes an element; true and "" give an empty attribute, false and undefined none. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  setAttributes(element, attributes);
  element.append(...children);
  return element;
}

export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Node[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  setAttributes(element, attributes);
  element.append(...children);
  return element;
}

function setAttributes(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? "" : String(value));
  }
}

export function setAttribute(element: Element, name: string, value: string | undefined): void {
  if (value === undefined) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Text of unknown length and script: clipped by CSS, whole in the tooltip, isolated from its surroundings. */
export function setClipped(element: HTMLElement, text: string, tooltip = text): void {
  setAttribute(element, "dir", "auto"); // writing it again would have the direction worked out again
  setText(element, text);
  if (element.title !== tooltip) element.title = tooltip;
}

export function clipped(className: string, text = ""): HTMLSpanElement {
  const element = h("span", { class: `as-clip ${className}` });
  if (text) setClipped(element, text);
  return element;
}

/** What has the focus, as seen from an element: hosts may put a view into a shadow root. */
export function focusNear(element: Element): Element | null {
  return (element.getRootNode() as Document | ShadowRoot).activeElement;
}

/** A CSS variable of one element: how a bar's length or a marker's place reaches the style sheet. */
export function setVariable(element: HTMLElement | SVGElement, name: string, value: number | string): void {
  element.style.setProperty(name, String(value));
}

export function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}

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
  element.addEventListener("click", pressed, { signal });
  return element;
}

/** The frame every part stands in: a title, a place for a mark beside it, then whatever the part adds. */
export interface Card {
  readonly element: HTMLElement;
  readonly head: HTMLElement;
  readonly title: HTMLElement;
  /** Dims what is shown and says why; undefined takes the mark away. */
  mark(text: string | undefined, stale: boolean): void;
}

export function card(className: string, title: string): Card {
  const titleElement = clipped("as-title", title);
  const tag = h("span", { class: "as-tag", hidden: true });
  const head = h("div", { class: "as-head" }, titleElement, tag);
  const element = h("div", { class: `as-card ${className}` }, head);
  return {
    element,
    head,
    title: titleElement,
    mark(text, stale) {
      tag.hidden = text === undefined;
      setText(tag, text ?? "");
      setAttribute(element, "data-stale", stale ? "1" : undefined);
    },
  };
}
