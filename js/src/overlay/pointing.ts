/** Hands on the canvas: pointing at pixels, zooming, moving the part in view; by pointer, wheel and keys. */
import { ARROWS, crossStep } from "../lib/arrow-keys";
import { clamp } from "../lib/dom";
import { panBy, type Point, STEP, toPicture, type Viewport, wheelFactor, WHOLE, zoomBy } from "../lib/zoom";
import { paneSpan, toPane } from "./panes";
import type { Stage } from "./stage";

/** How far a key moves the part in view, as a share of it. */
const PAN = 0.2;

/** The view after a key; undefined for keys that do not change it. Shift and arrows move only what is zoomed. */
export function viewStep(key: string, shift: boolean, view: Viewport, largest: number): Viewport | undefined {
  if (key === "+" || key === "=") return zoomBy(view, STEP, largest);
  if (key === "-" || key === "_") return zoomBy(view, 1 / STEP, largest);
  if (key === "0") return WHOLE;
  const arrow = shift && view.zoom > 1 && Object.hasOwn(ARROWS, key) ? ARROWS[key] : undefined;
  return arrow && panBy(view, arrow[0] * PAN, arrow[1] * PAN);
}

export interface Hands {
  /** Another pixel is pointed at. */
  pointed(byKeyboard: boolean): void;
  /** Another part is in view. */
  moved(): void;
}

export function handle(stage: Stage, signal: AbortSignal, hands: Hands): void {
  const { canvas } = stage;
  let drag: { x: number; y: number; view: Viewport } | undefined;

  const look = (view: Viewport): void => {
    stage.look(view);
    hands.moved();
  };
  /** Where a pointer is, as a share of the pane below it. */
  const place = (event: MouseEvent): Point | undefined => {
    const box = canvas.getBoundingClientRect();
    if (!stage.width || !box.width || !box.height) return undefined;
    const at = { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height };
    return toPane(stage.panes, at);
  };
  const move = (event: PointerEvent): void => {
    const at = place(event);
    if (!at) return;
    if (drag && canvas.hasPointerCapture(event.pointerId)) {
      const box = canvas.getBoundingClientRect();
      const pane = box.width * paneSpan(stage.panes, 0).width;
      look(panBy(drag.view, (drag.x - event.clientX) / pane, (drag.y - event.clientY) / box.height));
      return;
    }
    const { x, y } = toPicture(stage.view, at);
    stage.pointAt(
      {
        x: clamp(Math.floor(x * stage.width), 0, stage.width - 1),
        y: clamp(Math.floor(y * stage.height), 0, stage.height - 1),
      },
      false,
    );
    hands.pointed(false);
  };
  const leave = (): void => {
    stage.pointAt(undefined, false);
    hands.pointed(false);
  };

  canvas.addEventListener("pointermove", move, { signal });
  canvas.addEventListener(
    "pointerdown",
    (event) => {
      const at = place(event);
      if (at && event.button === 0 && stage.view.zoom > 1) {
        canvas.setPointerCapture(event.pointerId);
        drag = { x: event.clientX, y: event.clientY, view: stage.view };
      } else {
        move(event);
      }
    },
    { signal },
  );
  canvas.addEventListener("pointerup", () => (drag = undefined), { signal });
  canvas.addEventListener("pointercancel", () => (drag = undefined), { signal });
  canvas.addEventListener("pointerleave", leave, { signal });
  canvas.addEventListener("blur", leave, { signal });
  canvas.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey && !event.metaKey) return; // a bare wheel scrolls the notebook
      const at = place(event);
      if (!at) return;
      event.preventDefault();
      look(zoomBy(stage.view, wheelFactor(event.deltaY, event.deltaMode), stage.largestZoom, at));
    },
    { signal, passive: false },
  );
  canvas.addEventListener(
    "keydown",
    (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const view = viewStep(event.key, event.shiftKey, stage.view, stage.largestZoom);
      if (view) {
        event.preventDefault();
        look(view);
        return;
      }
      const next = crossStep(event.key, event.shiftKey, stage.point, stage);
      if (!next) return;
      event.preventDefault();
      const before = stage.view;
      stage.pointAt(next, true);
      if (stage.view !== before) hands.moved();
      hands.pointed(true);
    },
    { signal },
  );
}
