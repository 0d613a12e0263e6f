/** Hands on the canvas: pointing at pixels, zooming, moving the part in view; by pointer, wheel and keys. */
import { ARROWS, crossStep } from "../lib/arrow-keys";
import { clamp } from "../lib/dom";
import { panBy, type Point, STEP, toPicture, type Viewport, wheelFactor, WHOLE, zoomBy } from "../lib/zoom";
import { paneSpan, toPane } from "./panes";
import type { Stage } from "./stage";

/** How far a key moves the part in view, as a share of it. */
const PAN = 0.2;

/** The part in view after a key; undefined for keys that do not change it. Shift and arrows move only what is zoomed. */
export function viewportStep(
  key: string,
  shift: boolean,
  viewport: Viewport,
  largest: number,
): Viewport | undefined {
  if (key === "+" || key === "=") return zoomBy(viewport, STEP, largest);
  if (key === "-" || key === "_") return zoomBy(viewport, 1 / STEP, largest);
  if (key === "0") return WHOLE;
  const arrow = shift && viewport.zoom > 1 && Object.hasOwn(ARROWS, key) ? ARROWS[key] : undefined;
  return arrow && panBy(viewport, arrow[0] * PAN, arrow[1] * PAN);
}

export interface Hands {
  /** Another pixel is pointed at. */
  pointed(byKeyboard: boolean): void;
  /** Another part is in view. */
  moved(): void;
}

/** Puts a stage into somebody's hands. */
export class Pointing {
  #drag: { readonly x: number; readonly y: number; readonly viewport: Viewport } | undefined;
  readonly #stage: Stage;
  readonly #hands: Hands;

  constructor(stage: Stage, signal: AbortSignal, hands: Hands) {
    this.#stage = stage;
    this.#hands = hands;
    const { canvas } = stage;
    const drop = (): void => {
      this.#drag = undefined;
    };
    canvas.addEventListener("pointermove", (event) => this.#move(event), { signal });
    canvas.addEventListener("pointerdown", (event) => this.#take(event), { signal });
    canvas.addEventListener("pointerup", drop, { signal });
    canvas.addEventListener("pointercancel", drop, { signal });
    canvas.addEventListener("pointerleave", () => this.#leave(), { signal });
    canvas.addEventListener("blur", () => this.#leave(), { signal });
    canvas.addEventListener("wheel", (event) => this.#turn(event), { signal, passive: false });
    canvas.addEventListener("keydown", (event) => this.#press(event), { signal });
  }

  #look(viewport: Viewport): void {
    this.#stage.look(viewport);
    this.#hands.moved();
  }

  /** Where a pointer is, as a share of the pane below it. */
  #shareAt(event: MouseEvent): Point | undefined {
    const stage = this.#stage;
    const box = stage.canvas.getBoundingClientRect();
    if (!stage.width || !box.width || !box.height) return undefined;
    const at = { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height };
    return toPane(stage.panes, at);
  }

  #move(event: PointerEvent): void {
    const stage = this.#stage;
    const drag = this.#drag;
    const at = this.#shareAt(event);
    if (!at) return;
    if (drag && stage.canvas.hasPointerCapture(event.pointerId)) {
      const box = stage.canvas.getBoundingClientRect();
      const pane = box.width * paneSpan(stage.panes, 0).width;
      this.#look(
        panBy(drag.viewport, (drag.x - event.clientX) / pane, (drag.y - event.clientY) / box.height),
      );
      return;
    }
    const { x, y } = toPicture(stage.viewport, at);
    stage.pointAt(
      {
        x: clamp(Math.floor(x * stage.width), 0, stage.width - 1),
        y: clamp(Math.floor(y * stage.height), 0, stage.height - 1),
      },
      false,
    );
    this.#hands.pointed(false);
  }

  #take(event: PointerEvent): void {
    const stage = this.#stage;
    if (this.#shareAt(event) && event.button === 0 && stage.viewport.zoom > 1) {
      stage.canvas.setPointerCapture(event.pointerId);
      this.#drag = { x: event.clientX, y: event.clientY, viewport: stage.viewport };
    } else {
      this.#move(event);
    }
  }

  #leave(): void {
    this.#stage.pointAt(undefined, false);
    this.#hands.pointed(false);
  }

  #turn(event: WheelEvent): void {
    if (!event.ctrlKey && !event.metaKey) return; // a bare wheel scrolls the notebook
    const at = this.#shareAt(event);
    if (!at) return;
    event.preventDefault();
    const { viewport, largestZoom } = this.#stage;
    this.#look(zoomBy(viewport, wheelFactor(event.deltaY, event.deltaMode), largestZoom, at));
  }

  #press(event: KeyboardEvent): void {
    const stage = this.#stage;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const viewport = viewportStep(event.key, event.shiftKey, stage.viewport, stage.largestZoom);
    if (viewport) {
      event.preventDefault();
      this.#look(viewport);
      return;
    }
    const next = crossStep(event.key, event.shiftKey, stage.point, stage);
    if (!next) return;
    event.preventDefault();
    const before = stage.viewport;
    stage.pointAt(next, true);
    if (stage.viewport !== before) this.#hands.moved();
    this.#hands.pointed(true);
  }
}
