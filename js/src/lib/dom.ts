/** The few DOM helpers that all share. All text goes through text nodes, never through HTML. */
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

/** A CSS variable of one element: how a bar's length or a marker's position reaches the style sheet. */
export function setVariable(element: HTMLElement | SVGElement, name: string, value: number | string): void {
  element.style.setProperty(name, String(value));
}

export function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
