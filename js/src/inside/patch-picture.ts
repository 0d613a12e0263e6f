/** The picture of a channel: the patches that excite it most, two by two, or what it holds while there are none. */
import { type Channels, type Quantity, valuesOf } from "../data/channels";
import { paintValues } from "../data/painting";
import type { SeenPatch } from "../data/patches";
import { context, pictureCanvas, PixelBuffer } from "../lib/canvas";

/** What a channel holds, and in which colours. */
export interface ChannelColours {
  readonly channels: Channels;
  readonly quantity: Quantity;
  readonly limit: (channel: number) => number;
  readonly table: Uint32Array;
}

/** Pixels of a picture on a screen that shows one for each; they are drawn twice as fine. */
export const SIDE = 66;
const GAP = 2;
/** Patches and maps whose pixels are as large as this are worth seeing as they are. */
const LARGE = 4;
/** A row of values is a strip. */
const STRIP = 0.3;

/** Draws it, on a canvas that it makes as large as it needs. */
export class PatchPicture {
  readonly #pixels = new PixelBuffer();

  draw(
    canvas: HTMLCanvasElement,
    channel: number,
    patches: readonly SeenPatch[],
    colours: ChannelColours,
  ): void {
    const side = 2 * SIDE;
    if (canvas.width !== side || canvas.height !== side) Object.assign(canvas, { width: side, height: side });
    const ctx = context(canvas);
    if (!ctx) return;
    ctx.clearRect(0, 0, side, side);
    if (patches.length) drawPatches(ctx, patches, side);
    else this.#drawValues(ctx, channel, colours, side);
  }

  #drawValues(ctx: CanvasRenderingContext2D, channel: number, colours: ChannelColours, side: number): void {
    const { channels, quantity, limit, table } = colours;
    const { w, h: height, rows, columns } = channels;
    if (Number.isNaN(channels[quantity].scales[channel])) return;
    const own = valuesOf(channels[quantity]).subarray(channel * w * height, (channel + 1) * w * height);
    this.#pixels.paint(w, height, (out) => paintValues(own, limit(channel) || 1, table, out));
    const isStrip = height === 1 && w > 1;
    const ratio = isStrip ? 1 / STRIP : columns / rows;
    const wide = side * Math.min(1, ratio);
    const high = side * Math.min(1, 1 / ratio);
    ctx.imageSmoothingEnabled = wide / w < 2 * LARGE;
    ctx.drawImage(this.#pixels.canvas, 0, 0, w, height, (side - wide) / 2, (side - high) / 2, wide, high);
  }
}

function drawPatches(ctx: CanvasRenderingContext2D, patches: readonly SeenPatch[], side: number): void {
  const across = patches.length > 1 ? 2 : 1;
  const room = (side - (across - 1) * 2 * GAP) / across;
  patches.slice(0, across * across).forEach(({ image }, i) => {
    const { w, h } = image;
    const scale = room / Math.max(w, h);
    const x = (i % across) * (room + 2 * GAP) + (room - w * scale) / 2;
    const y = Math.floor(i / across) * (room + 2 * GAP) + (room - h * scale) / 2;
    ctx.imageSmoothingEnabled = scale < 2 * LARGE;
    ctx.imageSmoothingQuality = "high";
    ctx.drawImage(pictureCanvas(image), 0, 0, w, h, x, y, w * scale, h * scale);
  });
}
