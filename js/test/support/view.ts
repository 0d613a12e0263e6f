/** One view in a (happy-)DOM, and the hands and eyes of a person in front of it. */
import { afterEach, beforeEach, vi } from "vitest";
import widget from "../../src/index";
import type { Traits } from "../../src/state/traits.generated";
import { FakeModel, manualFrames, recordCanvases, type Recording, sampleTraits } from "./fake";

function idle(): void {
  // nothing is drawn yet
}

interface View {
  model: FakeModel;
  el: HTMLElement;
  /** Runs one animation frame. */
  frame: (time?: number) => void;
  end: () => void;
}

/** The view of the present test. */
export const view: View = {
  model: new FakeModel({}),
  el: document.createElement("div"),
  frame: idle,
  end: idle,
};
let recording: Recording;

/** Call once at the top of a test file. */
export function useViews(): void {
  beforeEach(() => {
    view.frame = manualFrames();
    recording = recordCanvases();
  });
  afterEach(() => {
    view.end();
    document.body.replaceChildren();
    vi.unstubAllGlobals();
  });
}

export function render(traits: Partial<Traits>): void {
  view.model = new FakeModel(traits);
  view.el = document.createElement("div");
  document.body.append(view.el);
  view.end = widget.render({ model: view.model, el: view.el });
}

/** Draws the Explorer on the sample traits with some changed. */
export function draw(changes: Partial<Traits> = {}): void {
  render(sampleTraits(changes));
}

/** Draws a part standing alone, with only the traits it is given. */
export function drawPart(part: Traits["_part"], names: readonly (keyof Traits)[]): void {
  const all = sampleTraits();
  render({ ...Object.fromEntries(names.map((name) => [name, all[name]])), _part: part });
}

export function find(selector: string): HTMLElement {
  const element = view.el.querySelector<HTMLElement>(selector);
  if (!element) throw new Error(`no ${selector}`);
  return element;
}
export const all = (selector: string): HTMLElement[] => [...view.el.querySelectorAll<HTMLElement>(selector)];
export const labelled = (label: string): HTMLElement => find(`[aria-label="${label}"]`);
export const inputOf = (label: string): HTMLInputElement => labelled(label) as HTMLInputElement;
export const selectOf = (label: string): HTMLSelectElement => labelled(label) as HTMLSelectElement;
export const buttonOf = (text: string): HTMLButtonElement =>
  all("button").find((button) => button.textContent === text) as HTMLButtonElement;
export const option = (text: string): HTMLElement =>
  all("[role=option]").find((row) => row.textContent.includes(text))!;
export const treeItem = (name: string): HTMLElement => find(`[role=treeitem][data-name="${name}"]`);
export const canvas = (): HTMLCanvasElement => find("canvas[role=img]") as HTMLCanvasElement;
/** The pixels last put or drawn on a canvas. */
export const pixelsOf = (of: HTMLCanvasElement): Uint32Array => recording.pixels.get(of)!;
/** The same of the canvas of the overlay. */
export const drawn = (): Uint32Array => pixelsOf(canvas());
/** The opacities of what was drawn on it, one after the other. */
export const opacities = (): number[] => recording.opacities.get(canvas())!;

/** What was done to it, one step after the other. */
export const steps = (of = canvas()): string[] => recording.steps.get(of)!;

/** How often pixels were painted anew, on whatever canvas. */
export const puts = (): number => recording.puts;

export function slide(label: string, value: number): void {
  const input = inputOf(label);
  input.value = String(value);
  input.dispatchEvent(new Event("input"));
}

/** Chooses from a select box, or from a menu: by opening it and pressing the line of that value. */
export function choose(label: string, value: string): void {
  const control = find(`:is(select, [role=combobox])[aria-label="${label}"]`);
  if (control instanceof HTMLSelectElement) {
    control.value = value;
    control.dispatchEvent(new Event("change"));
    return;
  }
  control.click();
  const line = menuLines(label).find(({ dataset }) => dataset.value === value);
  if (!line) throw new Error(`no ${value} in ${label}`);
  line.click();
}

export const menuOf = (label: string): HTMLButtonElement =>
  find(`[role=combobox][aria-label="${label}"]`) as HTMLButtonElement;
/** What an open menu offers. */
export const menuLines = (label: string): HTMLElement[] =>
  all(`[role=listbox][aria-label="${label}"] [role=option]`);

export function type(label: string, text: string): void {
  const input = inputOf(label);
  input.value = text;
  input.dispatchEvent(new Event("input"));
}

export function press(element: Element, key: string, init: KeyboardEventInit = {}): void {
  element.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...init }));
}
