/** The buttons for zooming, for whoever has no wheel and knows no keys. */
import { h, setAttribute, setText, svg } from "../lib/dom";
import { button } from "../lib/form-controls";
import { STEP, type Viewport, WHOLE, zoomBy } from "../lib/zoom";
import type { Stage } from "./stage";

/** A small square button with a picture for its label. */
export function smallButton(
  label: string,
  icon: string,
  hint: string,
  signal: AbortSignal,
  pressed: () => void,
): HTMLButtonElement {
  const element = button("as-button as-small", "", signal, pressed);
  element.append(svg("svg", { viewBox: "0 0 12 12", "aria-hidden": "true" }, svg("path", { d: icon })));
  element.setAttribute("aria-label", label);
  element.title = `${label} (${hint})`;
  return element;
}

export class ZoomButtons {
  readonly element: HTMLElement;
  readonly #factor = h("span", { class: "as-factor" });
  readonly #out: HTMLButtonElement;
  readonly #closer: HTMLButtonElement;
  readonly #reset: HTMLButtonElement;
  readonly #stage: Stage;
  readonly #moved: () => void;

  constructor(stage: Stage, signal: AbortSignal, moved: () => void) {
    this.#stage = stage;
    this.#moved = moved;
    this.#out = smallButton("Zoom out", "M2 6h8", "Key −", signal, () => this.#zoom(1 / STEP));
    this.#reset = smallButton("Reset zoom", "M4 1H1v3M8 1h3v3M4 11H1V8M8 11h3V8", "Key 0", signal, () => {
      this.#look(WHOLE);
    });
    this.#closer = smallButton("Zoom in", "M2 6h8M6 2v8", "Key +, or the wheel with Ctrl", signal, () => {
      this.#zoom(STEP);
    });
    this.element = h(
      "div",
      { class: "as-zoom", role: "group", "aria-label": "Zoom" },
      this.#factor,
      this.#out,
      this.#closer,
      this.#reset,
    );
  }

  show(): void {
    const { zoom } = this.#stage.viewport;
    setText(this.#factor, zoom === 1 ? "" : `${zoom >= 10 ? zoom.toFixed(0) : Number(zoom.toFixed(1))}×`);
    // A disabled button loses the focus: they stay enabled, and pressing them at an end does nothing.
    setAttribute(this.#out, "aria-disabled", String(zoom <= 1));
    setAttribute(this.#reset, "aria-disabled", String(zoom <= 1));
    setAttribute(this.#closer, "aria-disabled", String(zoom >= this.#stage.largestZoom - 1e-6));
  }

  #zoom(factor: number): void {
    this.#look(zoomBy(this.#stage.viewport, factor, this.#stage.largestZoom));
  }

  #look(viewport: Viewport): void {
    this.#stage.look(viewport);
    this.#moved();
  }
}
