/** Hands on the canvas: pointing at pixels, zooming, moving the part in view; by pointer, wheel and keys. */
import { clamp } from "./dom";
import { paneSpan, toPane } from "./panes";
import type { Stage } from "./stage";
import { panBy, type Point, STEP, toPicture, type View, wheelFactor, WHOLE, zoomBy } from "./zoom";

/** How far a key moves the part in view, as a share of it. */
const PAN = 0.2;
const FAST = 10;

const ARROWS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};
const ENDS: Readonly<Record<string, readonly [number, number]>> = {
  Home: [-Infinity, 0],
  End: [Infinity, 0],
  PageUp: [0, -Infinity],
  PageDown: [0, Infinity],
};

interface Extent {
  readonly width: number;
  readonly height: number;
}

/** Where a key moves the cross to; undefined for keys that do not. */
export function crossStep(
  key: string,
  fast: boolean,
  from: Point | undefined,
  { width, height }: Extent,
): Point | undefined {
  const arrow = Object.hasOwn(ARROWS, key) ? ARROWS[key] : undefined;
  const by = arrow ?? (Object.hasOwn(ENDS, key) ? ENDS[key] : undefined);
  if (!by || !width) return undefined;
  const middle = { x: (width - 1) >> 1, y: (height - 1) >> 1 };
  if (!from && arrow) return middle; // the first arrow only shows the cross
  const { x, y } = from ?? middle;
  const speed = fast ? FAST : 1;
  return { x: clamp(x + by[0] * speed, 0, width - 1), y: clamp(y + by[1] * speed, 0, height - 1) };
}

/** The view after a key; undefined for keys that do not change it. Shift and arrows move only what is zoomed. */
export function viewStep(key: string, shift: boolean, view: View, largest: number): View | undefined {
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
  let drag: { x: number; y: number; view: View } | undefined;

  const look = (view: View): void => {
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
