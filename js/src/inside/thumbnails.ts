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

export interface ThumbnailSource {
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

export class Thumbnails {
  readonly canvas = h("canvas", { class: "as-sheet", "aria-hidden": "true", hidden: true });
  readonly #pixels = new PixelBuffer();
  #drawn = "";
  #source: ThumbnailSource | undefined;

  /** Draws what is near the view, unless it is there already. */
  draw(source: ThumbnailSource | undefined, placing: Placing): void {
    const { canvas } = this;
    const pixels = this.#pixels;
    const { perRow, rowHeight, top, width, height, slot } = placing;
    canvas.hidden = !source || !(width * height * slot.w * slot.h);
    if (!source || canvas.hidden) return;
    const sharp = Math.min(2, Math.max(1, globalThis.devicePixelRatio || 1));
    const first = Math.max(0, Math.floor(top / rowHeight) - ROOM);
    const rows = Math.min(
      Math.ceil(height / rowHeight) + 1 + 2 * ROOM,
      Math.ceil(source.items.length / perRow) - first,
    );
    const key = JSON.stringify([first, rows, perRow, rowHeight, width, slot, sharp]);
    if (key === this.#drawn && source === this.#source) return;
    this.#drawn = key;
    this.#source = source;

    const whole = { width: Math.round(width * sharp), height: Math.max(1, rows) * rowHeight * sharp };
    if (canvas.width !== whole.width || canvas.height !== whole.height) Object.assign(canvas, whole);
    setVariable(canvas, "--as-top", `${first * rowHeight}px`);
    setVariable(canvas, "--as-height", `${Math.max(1, rows) * rowHeight}px`);
    const ctx = context(canvas);
    if (!ctx) return;
    ctx.clearRect(0, 0, canvas.width, canvas.height);
    const ratio = source.ratio ?? slot.w / slot.h;
    const w = Math.min(slot.w, slot.h * ratio);
    const high = w / ratio;
    ctx.imageSmoothingEnabled = w / source.w < LARGE;
    const last = Math.min(source.items.length, (first + rows) * perRow);
    for (let index = first * perRow; index < last; index++) {
      const item = source.items[index]!;
      if (!source.has(item)) continue;
      pixels.paint(source.w, source.h, (out) => source.paint(item, out));
      const x = ((index % perRow) * width) / perRow + slot.x + (slot.w - w) / 2;
      const y = (Math.floor(index / perRow) - first) * rowHeight + slot.y + (slot.h - high) / 2;
      ctx.globalAlpha = source.opacity(item);
      const [left, above] = [Math.round(x * sharp), Math.round(y * sharp)];
      ctx.drawImage(
        pixels.canvas,
        0,
        0,
        source.w,
        source.h,
        left,
        above,
        Math.round((x + w) * sharp) - left,
        Math.round((y + high) * sharp) - above,
      );
    }
  }
}
