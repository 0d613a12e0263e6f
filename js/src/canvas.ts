/** Off-screen canvases that hold pictures and maps at their own size, ready to be drawn scaled. */
import { h } from "./dom";
import { memo, type Picture } from "./wire";

export function context(canvas: HTMLCanvasElement): CanvasRenderingContext2D | null {
  return canvas.getContext("2d", { willReadFrequently: true });
}

/** The picture as a canvas of its own size. */
export const pictureCanvas: (picture: Picture) => HTMLCanvasElement = memo(({ w, h: height, rgb }) => {
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

/** A picture scaled to the size of a canvas once, so that each frame of a walk only copies pixels. */
export class ScaledPicture {
  private readonly canvas = h("canvas");
  private source: Picture | undefined;

  get(picture: Picture, width: number, height: number): HTMLCanvasElement {
    const { canvas } = this;
    if (this.source === picture && canvas.width === width && canvas.height === height) return canvas;
    this.source = picture;
    Object.assign(canvas, { width, height });
    const ctx = context(canvas);
    if (ctx) {
      ctx.imageSmoothingQuality = "high";
      ctx.imageSmoothingEnabled = width < picture.w * 4; // single pixels of a tiny picture are worth seeing
      ctx.drawImage(pictureCanvas(picture), 0, 0, width, height);
    }
    return canvas;
  }
}

/** An image of packed pixels that is painted again and again. */
export class PixelBuffer {
  readonly canvas = h("canvas");
  private image: ImageData | undefined;
  private pixels = new Uint32Array(0);

  /** Gives the pixels to paint, then shows them on `canvas`. False where there is no canvas to draw on. */
  paint(w: number, height: number, paint: (out: Uint32Array) => void): boolean {
    const ctx = context(this.canvas);
    if (!ctx) return false;
    if (this.image?.width !== w || this.image.height !== height) {
      this.canvas.width = w;
      this.canvas.height = height;
      this.image = ctx.createImageData(w, height);
      this.pixels = new Uint32Array(this.image.data.buffer);
    }
    paint(this.pixels);
    ctx.putImageData(this.image, 0, 0);
    return true;
  }
}
