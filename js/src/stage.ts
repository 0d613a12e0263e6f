/** The canvas of the overlay: picture, map over it, and the cross that reads single values. */
import { context, PixelBuffer, ScaledPicture } from "./canvas";
import { clamp, h, setAttribute, setVariable } from "./dom";
import type { Field, Shown } from "./shown";

// Longest sides in pixels of the page: what the canvas wants to have, and the most it may have when a whole multiple
// of the picture is more than it wants (each pixel more costs time in every frame of a walk).
const WANTED = 420;
const LARGEST = 720;

/** A whole multiple of the picture, so that its pixels stay even; large pictures are scaled down. */
export function canvasSize(w: number, height: number, ratio: number): { width: number; height: number } {
  const longest = Math.max(w, height);
  const sharp = Math.min(2, Math.max(1, ratio));
  const whole = Math.max(1, Math.ceil((WANTED * sharp) / longest));
  const scale = Math.min(whole, (LARGEST * sharp) / longest);
  return { width: Math.round(w * scale), height: Math.round(height * scale) };
}

/** A pixel of the picture. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** The value of a field under a pixel of a picture of another size. */
export function valueUnder(field: Field, point: Point, w: number, height: number): number {
  const x = clamp(Math.floor(((point.x + 0.5) * field.w) / w), 0, field.w - 1);
  const y = clamp(Math.floor(((point.y + 0.5) * field.h) / height), 0, field.h - 1);
  return field.valueAt(y * field.w + x);
}

export class Stage {
  readonly element: HTMLElement;
  readonly canvas: HTMLCanvasElement;
  /** Where a person points, by mouse or by arrow keys; undefined when nowhere. */
  point: Point | undefined;
  private readonly cross: HTMLElement;
  private readonly map = new PixelBuffer();
  private readonly picture = new ScaledPicture();
  private readonly from = new ScaledPicture();
  private width = 0;
  private height = 0;
  private drawn = 0;

  constructor(signal: AbortSignal, pointed: (byKeyboard: boolean) => void) {
    this.canvas = h("canvas", { class: "as-canvas", role: "img", tabindex: 0, "aria-label": "Picture" });
    this.cross = h("div", { class: "as-cross", "aria-hidden": "true", hidden: true });
    this.element = h("div", { class: "as-stage" }, this.canvas, this.cross);
    this.listen(signal, pointed);
  }

  /** Draws the picture (or its mix with the baseline) and the field over it. */
  draw(shown: Shown, limit: number, table: Uint32Array | undefined): void {
    const { canvas } = this;
    const w = shown.picture?.w ?? shown.field?.w;
    const height = shown.picture?.h ?? shown.field?.h;
    setAttribute(this.element, "data-empty", shown.kind === "empty" ? "1" : undefined);
    canvas.dataset.shown = shown.kind;
    if (w === undefined || height === undefined) return;

    this.resize(w, height);
    const ctx = context(canvas);
    if (!ctx) return;
    const size = [canvas.width, canvas.height] as const;
    if (shown.picture) {
      if (shown.from) ctx.drawImage(this.from.get(shown.from, ...size), 0, 0);
      ctx.globalAlpha = shown.from ? shown.alpha : 1; // over the baseline: the mix in display space
      ctx.drawImage(this.picture.get(shown.picture, ...size), 0, 0);
      ctx.globalAlpha = 1;
    } else {
      ctx.clearRect(0, 0, ...size);
    }
    const { field } = shown;
    if (field && table && limit > 0) {
      this.map.paint(field.w, field.h, (out) => field.paint(limit, table, out));
      ctx.imageSmoothingEnabled = field.w < w || canvas.width < w;
      ctx.drawImage(this.map.canvas, 0, 0, ...size);
    }
    canvas.dataset.drawn = String(++this.drawn);
  }

  private resize(w: number, height: number): void {
    if (w === this.width && height === this.height) return;
    this.width = w;
    this.height = height;
    Object.assign(this.canvas, canvasSize(w, height, globalThis.devicePixelRatio || 1));
    setVariable(this.element, "--as-ratio", w / height);
    this.point = undefined;
  }

  private listen(signal: AbortSignal, pointed: (byKeyboard: boolean) => void): void {
    const { canvas } = this;
    const move = (event: PointerEvent): void => {
      const box = canvas.getBoundingClientRect();
      if (!this.width || !box.width || !box.height) return;
      this.point = {
        x: clamp(Math.floor(((event.clientX - box.left) / box.width) * this.width), 0, this.width - 1),
        y: clamp(Math.floor(((event.clientY - box.top) / box.height) * this.height), 0, this.height - 1),
      };
      this.cross.hidden = true; // the pointer itself shows the place
      pointed(false);
    };
    const leave = (): void => {
      this.point = undefined;
      this.cross.hidden = true;
      pointed(false);
    };
    canvas.addEventListener("pointermove", move, { signal });
    canvas.addEventListener("pointerdown", move, { signal });
    canvas.addEventListener("pointerleave", leave, { signal });
    canvas.addEventListener("blur", leave, { signal });
    canvas.addEventListener(
      "keydown",
      (event) => {
        const next = this.step(event);
        if (!next) return;
        event.preventDefault();
        this.point = next;
        this.cross.hidden = false;
        setVariable(this.cross, "--as-x", (next.x + 0.5) / this.width);
        setVariable(this.cross, "--as-y", (next.y + 0.5) / this.height);
        pointed(true);
      },
      { signal },
    );
  }

  /** Where a key moves the cross; undefined for keys that do not. */
  private step(event: KeyboardEvent): Point | undefined {
    const MOVES: Readonly<Record<string, readonly [number, number]>> = {
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
      ArrowUp: [0, -1],
      ArrowDown: [0, 1],
      Home: [-Infinity, 0],
      End: [Infinity, 0],
      PageUp: [0, -Infinity],
      PageDown: [0, Infinity],
    };
    const by = Object.hasOwn(MOVES, event.key) ? MOVES[event.key] : undefined;
    if (!by || !this.width || event.ctrlKey || event.metaKey || event.altKey) return undefined;
    const middle = { x: (this.width - 1) >> 1, y: (this.height - 1) >> 1 };
    if (!this.point && Number.isFinite(by[0] + by[1])) return middle; // the first arrow only shows the cross
    const from = this.point ?? middle;
    const speed = event.shiftKey ? 10 : 1;
    return {
      x: clamp(from.x + by[0] * speed, 0, this.width - 1),
      y: clamp(from.y + by[1] * speed, 0, this.height - 1),
    };
  }
}
