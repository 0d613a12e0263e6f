/**
 * The thumbnails near the view, all on one canvas below the elements that name them: to a browser each canvas is a layer
 * of its own, and hundreds of them are too many to scroll.
 */
import { context, PixelBuffer } from "../lib/canvas";
import { h, setVariable } from "../lib/dom";

/** Rows that are drawn on both sides of the view. */
const ROOM = 2;
/** Single values that are as large as this are worth seeing as they are. */
const LARGE = 4;

/** Where things stand on the page, in pixels. */
export interface Placing {
  readonly perRow: number;
  readonly rowHeight: number;
  /** Of the box that scrolls. */
  readonly top: number;
  readonly width: number;
  readonly height: number;
  /** The room for a thumbnail in the element of its item. */
  readonly slot: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
}

export interface Thumbs {
  readonly items: readonly number[];
  /** Of the values of a thumbnail. */
  readonly w: number;
  readonly h: number;
  /** Width over height on the page; undefined: as the slot. */
  readonly ratio: number | undefined;
  /** Whether an item has any values to colour. */
  has(item: number): boolean;
  paint(item: number, out: Uint32Array): void;
  opacity(item: number): number;
}

export class Sheet {
  readonly canvas = h("canvas", { class: "as-sheet", "aria-hidden": "true", hidden: true });
  private readonly pixels = new PixelBuffer();
  private drawn = "";
  private thumbs: Thumbs | undefined;

  /** Draws what is near the view, unless it is there already. */
  draw(thumbs: Thumbs | undefined, placing: Placing): void {
    const { canvas, pixels } = this;
    const { perRow, rowHeight, top, width, height, slot } = placing;
    canvas.hidden = !thumbs || !(width * height * slot.w * slot.h);
    if (!thumbs || canvas.hidden) return;
    const sharp = Math.min(2, Math.max(1, globalThis.devicePixelRatio || 1));
    const first = Math.max(0, Math.floor(top / rowHeight) - ROOM);
    const rows = Math.min(
      Math.ceil(height / rowHeight) + 1 + 2 * ROOM,
      Math.ceil(thumbs.items.length / perRow) - first,
    );
    const key = JSON.stringify([first, rows, perRow, rowHeight, width, slot, sharp]);
    if (key === this.drawn && thumbs === this.thumbs) return;
    this.drawn = key;
    this.thumbs = thumbs;

    const whole = { width: Math.round(width * sharp), height: Math.max(1, rows) * rowHeight * sharp };
    if (canvas.width !== whole.width || canvas.height !== whole.height) Object.assign(canvas, whole);
    setVariable(canvas, "--as-top", `${first * rowHeight}px`);
    setVariable(canvas, "--as-height", `${Math.max(1, rows) * rowHeight}px`);
    const ctx = context(canvas);
    if (!ctx) return;
    ctx.clearRect(0, 0, canvas.width, canvas.height);
    const ratio = thumbs.ratio ?? slot.w / slot.h;
    const w = Math.min(slot.w, slot.h * ratio);
    const high = w / ratio;
    ctx.imageSmoothingEnabled = w / thumbs.w < LARGE;
    const last = Math.min(thumbs.items.length, (first + rows) * perRow);
    for (let place = first * perRow; place < last; place++) {
      const item = thumbs.items[place]!;
      if (!thumbs.has(item)) continue;
      pixels.paint(thumbs.w, thumbs.h, (out) => thumbs.paint(item, out));
      const x = ((place % perRow) * width) / perRow + slot.x + (slot.w - w) / 2;
      const y = (Math.floor(place / perRow) - first) * rowHeight + slot.y + (slot.h - high) / 2;
      ctx.globalAlpha = thumbs.opacity(item);
      const [left, above] = [Math.round(x * sharp), Math.round(y * sharp)];
      ctx.drawImage(
        pixels.canvas,
        0,
        0,
        thumbs.w,
        thumbs.h,
        left,
        above,
        Math.round((x + w) * sharp) - left,
        Math.round((y + high) * sharp) - above,
      );
    }
  }
}
