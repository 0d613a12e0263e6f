/** Off-screen canvases that hold pictures and maps at their own size, ready to be drawn scaled. */
import { h } from "./dom";
import { memo } from "./memo";
import type { Viewport } from "./zoom";

/** A picture as it came: h*w*3 bytes, RGB. */
export interface RgbImage {
  readonly w: number;
  readonly h: number;
  readonly rgb: Uint8Array;
}

export function context(canvas: HTMLCanvasElement): CanvasRenderingContext2D | null {
  return canvas.getContext("2d", { willReadFrequently: true });
}

/** The picture as a canvas of its own size. */
export const pictureCanvas: (picture: RgbImage) => HTMLCanvasElement = memo(({ w, h: height, rgb }) => {
  const canvas = h("canvas", { width: w, height });
  const ctx = context(canvas);
  if (ctx) {
    const image = ctx.createImageData(w, height);
    const { data } = image;
    for (let i = 0, j = 0; i < rgb.length; i += 3, j += 4) {
      data[j] = rgb[i]!;
      data[j + 1] = rgb[i + 1]!;
      data[j + 2] = rgb[i + 2]!;
      data[j + 3] = 255;
    }
    ctx.putImageData(image, 0, 0);
  }
  return canvas;
});

/** The part of a picture that is in view, scaled to a pane once, so that each frame of a walk only copies pixels. */
export class ScaledPicture {
  readonly #canvas = h("canvas");
  #source: RgbImage | undefined;
  #viewport: Viewport | undefined;

  get(picture: RgbImage, width: number, height: number, viewport: Viewport): HTMLCanvasElement {
    const canvas = this.#canvas;
    if (
      this.#source === picture &&
      this.#viewport === viewport &&
      canvas.width === width &&
      canvas.height === height
    ) {
      return canvas;
    }
    this.#source = picture;
    this.#viewport = viewport;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const ctx = context(canvas);
    if (ctx) {
      ctx.imageSmoothingQuality = "high";
      ctx.imageSmoothingEnabled = isSmooth(width, picture.w, viewport);
      drawViewport(ctx, pictureCanvas(picture), picture, viewport, 0, width, height);
    }
    return canvas;
  }
}

/** Single pixels that are as large as this are worth seeing as they are. */
const LARGE_PIXEL = 4;

function isSmooth(width: number, pixels: number, { zoom }: Viewport): boolean {
  return (width * zoom) / pixels < LARGE_PIXEL;
}

/** Draws the part in view of something `size` large over a pane that begins at `left`. */
export function drawViewport(
  ctx: CanvasRenderingContext2D,
  source: HTMLCanvasElement,
  size: { readonly w: number; readonly h: number },
  { zoom, left, top }: Viewport,
  x: number,
  width: number,
  height: number,
): void {
  ctx.drawImage(source, left * size.w, top * size.h, size.w / zoom, size.h / zoom, x, 0, width, height);
}

/** An image of packed pixels that is painted again and again. */
export class PixelBuffer {
  readonly canvas = h("canvas");
  #image: ImageData | undefined;
  #pixels = new Uint32Array(0);

  /** Gives the pixels to paint, then shows them on `canvas`. False where there is no canvas to draw on. */
  paint(w: number, height: number, paint: (out: Uint32Array) => void): boolean {
    const ctx = context(this.canvas);
    if (!ctx) return false;
    if (this.#image?.width !== w || this.#image.height !== height) {
      this.canvas.width = w;
      this.canvas.height = height;
      this.#image = ctx.createImageData(w, height);
      this.#pixels = new Uint32Array(this.#image.data.buffer);
    }
    paint(this.#pixels);
    ctx.putImageData(this.#image, 0, 0);
    return true;
  }
}
