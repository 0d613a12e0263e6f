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

/** What picks a region: it gets the pointer while one of its tools is in use, and the keys first. Places are in pixels. */
export interface Brush {
  /** A tool is in use. */
  readonly active: boolean;
  /** Something is being drawn. */
  readonly drawing: boolean;
  take(at: Point): void;
  drag(at: Point): void;
  /** `moved` unless it was a click. */
  drop(at: Point, moved: boolean): void;
  cancel(): void;
  /** Whether a key meant the region. */
  press(event: KeyboardEvent): boolean;
  /** Another pixel is pointed at. */
  pointed(byKeyboard: boolean): void;
}

/** A hand that has moved no further than this, in pixels of the page, has clicked. */
const CLICK = 3;

/** Puts a stage into somebody's hands. */
export class Pointing {
  #drag: { readonly x: number; readonly y: number; readonly viewport: Viewport } | undefined;
  readonly #stage: Stage;
  /** Where the pointer was last, on the page: of a wheel a browser tells it in whole pixels. */
  #last: { readonly clientX: number; readonly clientY: number } | undefined;
  /** Where the brush was put down, on the page. */
  #brushed: { readonly x: number; readonly y: number } | undefined;
  readonly #hands: Hands;
  readonly #brush: Brush | undefined;

  constructor(stage: Stage, signal: AbortSignal, hands: Hands, brush?: Brush) {
    this.#stage = stage;
    this.#hands = hands;
    this.#brush = brush;
    const { canvas } = stage;
    const drop = (): void => {
      this.#drag = undefined;
      this.#brushed = undefined;
      brush?.cancel();
    };
    const lift = (event: PointerEvent): void => {
      this.#lift(event);
      drop();
    };
    canvas.addEventListener("pointermove", (event) => this.#move(event), { signal });
    canvas.addEventListener("pointerdown", (event) => this.#take(event), { signal });
    canvas.addEventListener("pointerup", lift, { signal });
    canvas.addEventListener("pointercancel", drop, { signal });
    canvas.addEventListener("pointerleave", () => this.#leave(), { signal });
    canvas.addEventListener("blur", () => this.#left(), { signal });
    canvas.addEventListener("wheel", (event) => this.#turn(event), { signal, passive: false });
    canvas.addEventListener("keydown", (event) => this.#press(event), { signal });
  }

  #look(viewport: Viewport): void {
    this.#stage.look(viewport);
    this.#hands.moved();
  }

  /** Where a pointer is, as a share of the pane below it. */
  #shareAt({ clientX, clientY }: Pick<MouseEvent, "clientX" | "clientY">): Point | undefined {
    const stage = this.#stage;
    const box = stage.canvas.getBoundingClientRect();
    if (!stage.width || !box.width || !box.height) return undefined;
    const at = { x: (clientX - box.left) / box.width, y: (clientY - box.top) / box.height };
    return toPane(stage.panes, at);
  }

  #move(event: PointerEvent): void {
    const stage = this.#stage;
    const drag = this.#drag;
    const at = this.#shareAt(event);
    this.#last = { clientX: event.clientX, clientY: event.clientY };
    if (!at) return;
    if (drag && stage.canvas.hasPointerCapture(event.pointerId)) {
      const box = stage.canvas.getBoundingClientRect();
      const pane = box.width * paneSpan(stage.panes, 0).width;
      this.#look(
        panBy(drag.viewport, (drag.x - event.clientX) / pane, (drag.y - event.clientY) / box.height),
      );
      return;
    }
    const { x, y } = this.#pixels(at);
    stage.pointAt(
      {
        x: clamp(Math.floor(x), 0, stage.width - 1),
        y: clamp(Math.floor(y), 0, stage.height - 1),
      },
      false,
    );
    if (this.#brushed) this.#brush?.drag({ x, y });
    this.#hands.pointed(false);
  }

  /** A share of the pane as a place in the picture, in pixels; its far edges belong to the last of them. */
  #pixels(at: Point): Point {
    const { viewport, width, height } = this.#stage;
    const { x, y } = toPicture(viewport, at);
    return { x: x * width, y: y * height };
  }

  #lift(event: PointerEvent): void {
    const start = this.#brushed;
    const at = this.#shareAt(event);
    if (!start || !at) return;
    const { width, height } = this.#stage;
    const { x, y } = this.#pixels(at);
    const moved = Math.hypot(event.clientX - start.x, event.clientY - start.y) > CLICK;
    this.#brush?.drop({ x: clamp(x, 0, width - 1e-6), y: clamp(y, 0, height - 1e-6) }, moved);
  }

  #take(event: PointerEvent): void {
    const stage = this.#stage;
    const at = this.#shareAt(event);
    if (at && event.button === 0 && this.#brush?.active) {
      stage.canvas.setPointerCapture(event.pointerId);
      this.#brushed = { x: event.clientX, y: event.clientY };
      this.#brush.take(this.#pixels(at));
      this.#move(event);
    } else if (at && event.button === 0 && stage.viewport.zoom > 1) {
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

  #left(): void {
    this.#leave();
    this.#brush?.cancel();
  }

  #turn(event: WheelEvent): void {
    if (!event.ctrlKey && !event.metaKey) return; // a bare wheel scrolls the notebook
    const last = this.#last;
    const apart = last && Math.hypot(last.clientX - event.clientX, last.clientY - event.clientY);
    const at = this.#shareAt(apart !== undefined && apart < 1.5 ? last! : event);
    if (!at) return;
    event.preventDefault();
    const { viewport, largestZoom } = this.#stage;
    this.#look(zoomBy(viewport, wheelFactor(event.deltaY, event.deltaMode), largestZoom, at));
  }

  #press(event: KeyboardEvent): void {
    const stage = this.#stage;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (this.#brush?.press(event)) {
      event.preventDefault();
      event.stopPropagation();
      return;
    }
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
