/** The canvas of the overlay: picture, map over or beside it, the part in view, and the cross that reads values. */
import { GROUND } from "../data/colour-tables";
import type { CloseUp } from "../data/messages";
import { context, drawViewport, pictureCanvas, PixelBuffer, ScaledPicture } from "../lib/canvas";
import { clamp, h, setAttribute, setVariable } from "../lib/dom";
import { largestZoom, type Point, reveal, toView, type Viewport, WHOLE } from "../lib/zoom";
import type { Displayed, Field } from "../selection/displayed";
import type { Mode } from "../state/messages.generated";
import { canvasWidth, paneCount, type Panes, panesFor, paneSpan } from "./panes";

/** The value of a field under a pixel of a picture of another size. */
export function valueUnder(field: Field, point: Point, w: number, height: number): number {
  const x = clamp(Math.floor(((point.x + 0.5) * field.extent.w) / w), 0, field.w - 1);
  const y = clamp(Math.floor(((point.y + 0.5) * field.extent.h) / height), 0, field.h - 1);
  return field.valueAt(y * field.w + x);
}

/** How the values become pixels. */
export interface Look {
  readonly mode: Mode;
  readonly limit: number;
  readonly table: Uint32Array | undefined;
}

export class Stage {
  readonly element: HTMLElement;
  readonly canvas: HTMLCanvasElement;
  /** Size of the picture in pixels; 0 while there is none. */
  width = 0;
  height = 0;
  panes: Panes = { count: 1, width: 0, height: 0, gap: 0 };
  /** The pixel of the picture that a person points at; undefined when nowhere. */
  point: Point | undefined;
  viewport: Viewport = WHOLE;
  /** A part of the picture that came finer than the whole. */
  closeUp: CloseUp | undefined;
  readonly #crosses = [cross(), cross()] as const;
  readonly #map = new PixelBuffer();
  readonly #picture = new ScaledPicture();
  readonly #from = new ScaledPicture();
  #painted: { source: object; alpha: number; limit: number; table: Uint32Array } | undefined;
  #last: readonly unknown[] = [];
  #drawn = 0;

  constructor() {
    this.canvas = h("canvas", { class: "as-canvas", role: "img", tabindex: 0, "aria-label": "Picture" });
    this.element = h("div", { class: "as-stage" }, this.canvas, ...this.#crosses);
  }

  get largestZoom(): number {
    return largestZoom(this.width, this.height);
  }

  /** Draws the picture (or its mix with the baseline) and the field over it, beside it or instead of it. */
  draw(shown: Displayed, look: Look): void {
    const { canvas } = this;
    const { mode } = look;
    const w = shown.picture?.w ?? shown.field?.w;
    const height = shown.picture?.h ?? shown.field?.h;
    setAttribute(this.element, "data-empty", shown.kind === "empty" ? "1" : undefined);
    setAttribute(canvas, "data-shown", shown.kind);
    setAttribute(canvas, "data-mode", mode);
    if (w === undefined || height === undefined) return;

    this.#resize(w, height, paneCount(mode));
    const { panes } = this;
    const { picture, from, alpha, field } = shown;
    const now = [
      picture,
      from,
      from && alpha,
      field?.source,
      field?.alpha,
      look.limit,
      look.table,
      mode,
      this.viewport,
      this.closeUp,
    ];
    now.push(panes);
    if (now.every((value, i) => value === this.#last[i])) return; // it stands there already
    const ctx = context(canvas);
    if (!ctx) return;
    this.#last = now;
    const last = panes.count - 1;
    if (panes.gap > 0) ctx.clearRect(panes.width, 0, panes.gap, panes.height);
    if (shown.picture && (mode !== "heat" || !shown.field)) this.#drawPicture(ctx, shown);
    else if (last === 0 || !shown.picture) drawGround(ctx, 0, panes);
    if (last === 1) drawGround(ctx, panes.width + panes.gap, panes);
    this.#drawMap(ctx, shown.field, look, w, last * (panes.width + panes.gap));
    canvas.dataset.drawn = String(++this.#drawn);
  }

  /** Points at a pixel of the picture, or nowhere; keys need a cross, and so does whoever looks at two panes. */
  pointAt(point: Point | undefined, byKeyboard: boolean): void {
    this.point = point;
    if (point && byKeyboard) this.viewport = reveal(this.viewport, this.#share(point));
    this.#showCross(point !== undefined && (byKeyboard || this.panes.count === 2));
  }

  /** Shows a cross where another stage is pointed at. */
  pointAlong(point: Point | undefined): void {
    this.point = point;
    this.#showCross(point !== undefined);
  }

  /** Puts the cross where its pixel is now, after the view has moved. */
  #showCross(visible: boolean): void {
    this.#crosses.forEach((element, i) => {
      const at = this.point && toView(this.viewport, this.#share(this.point));
      const seen = at && at.x >= 0 && at.x <= 1 && at.y >= 0 && at.y <= 1;
      element.hidden = !visible || i >= this.panes.count || !seen;
      if (!at || element.hidden) return;
      const { from, width } = paneSpan(this.panes, i);
      setVariable(element, "--as-from", from);
      setVariable(element, "--as-width", width);
      setVariable(element, "--as-x", at.x);
      setVariable(element, "--as-y", at.y);
    });
  }

  look(viewport: Viewport): void {
    this.viewport = viewport;
    setAttribute(this.canvas, "data-zoomed", viewport.zoom > 1 ? "1" : undefined);
    if (!this.#crosses[0].hidden) this.#showCross(true);
  }

  /** The middle of a pixel as a share of the picture. */
  #share({ x, y }: Point): Point {
    return { x: (x + 0.5) / this.width, y: (y + 0.5) / this.height };
  }

  #drawPicture(ctx: CanvasRenderingContext2D, { picture, from, alpha }: Displayed): void {
    if (!picture) return;
    const { width, height } = this.panes;
    if (from) ctx.drawImage(this.#from.get(from.image, width, height, this.viewport), 0, 0);
    ctx.globalAlpha = from ? alpha : 1; // over the baseline: the mix in display space
    ctx.drawImage(this.#picture.get(picture.image, width, height, this.viewport), 0, 0);
    ctx.globalAlpha = 1;
    if (!from && this.closeUp) this.#drawCloseUp(ctx, this.closeUp);
  }

  /** The part of it that is in view, over the coarser picture. */
  #drawCloseUp(ctx: CanvasRenderingContext2D, { box: [x0, y0, x1, y1], image }: CloseUp): void {
    const { zoom, left, top } = this.viewport;
    const { width, height } = this.panes;
    const seen = { x0: left * this.width, y0: top * this.height };
    const size = { w: this.width / zoom, h: this.height / zoom };
    const part = {
      x0: Math.max(x0, seen.x0),
      y0: Math.max(y0, seen.y0),
      x1: Math.min(x1, seen.x0 + size.w),
      y1: Math.min(y1, seen.y0 + size.h),
    };
    if (part.x0 >= part.x1 || part.y0 >= part.y1) return;
    const across = image.w / (x1 - x0);
    const down = image.h / (y1 - y0);
    ctx.imageSmoothingEnabled = true;
    ctx.drawImage(
      pictureCanvas(image),
      (part.x0 - x0) * across,
      (part.y0 - y0) * down,
      (part.x1 - part.x0) * across,
      (part.y1 - part.y0) * down,
      ((part.x0 - seen.x0) / size.w) * width,
      ((part.y0 - seen.y0) / size.h) * height,
      ((part.x1 - part.x0) / size.w) * width,
      ((part.y1 - part.y0) / size.h) * height,
    );
  }

  #drawMap(
    ctx: CanvasRenderingContext2D,
    field: Field | undefined,
    { limit, table }: Look,
    w: number,
    x: number,
  ): void {
    if (!field || !table || !(limit > 0)) return;
    const { source, alpha } = field;
    const { viewport, panes } = this;
    const painted = this.#painted;
    if (
      painted?.source !== source ||
      painted.alpha !== alpha ||
      painted.limit !== limit ||
      painted.table !== table
    ) {
      this.#painted = this.#map.paint(field.w, field.h, (out) => field.paint(limit, table, out))
        ? { source, alpha, limit, table }
        : undefined;
    }
    // A map of the picture's size keeps its pixels even, and blocks are seen as such; a coarser one, or one that is
    // scaled down, is smooth.
    const even =
      field.side > 1
        ? panes.width * viewport.zoom >= field.w
        : field.w >= w && panes.width * viewport.zoom >= w;
    ctx.imageSmoothingEnabled = !even;
    drawViewport(ctx, this.#map.canvas, field.extent, viewport, x, panes.width, panes.height);
  }

  #resize(w: number, height: number, count: 1 | 2): void {
    if (w === this.width && height === this.height && count === this.panes.count) return;
    if (w !== this.width || height !== this.height) {
      this.point = undefined;
      this.look(WHOLE);
    }
    this.width = w;
    this.height = height;
    this.panes = panesFor(w, height, globalThis.devicePixelRatio || 1, count);
    const width = canvasWidth(this.panes);
    Object.assign(this.canvas, { width, height: this.panes.height });
    setVariable(this.element, "--as-ratio", width / this.panes.height);
    this.#showCross(false);
  }
}

function cross(): HTMLElement {
  return h("div", { class: "as-cross", "aria-hidden": "true", hidden: true });
}

function drawGround(ctx: CanvasRenderingContext2D, x: number, { width, height }: Panes): void {
  ctx.fillStyle = `rgb(${GROUND} ${GROUND} ${GROUND})`;
  ctx.fillRect(x, 0, width, height);
}
