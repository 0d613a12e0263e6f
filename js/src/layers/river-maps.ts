/** The small maps that lie on the river, each painted again only when it is another one. */
import type { Picture } from "../data/messages";
import { paintValues } from "../data/painting";
import { context, pictureCanvas, PixelBuffer } from "../lib/canvas";
import { h, setAttribute } from "../lib/dom";
import type { SmallMap } from "../selection/river";

/** Maps with so few values along a side are worth seeing value by value. */
const FEW = 16;
/** Pixels of the small picture along its longer side. */
const PICTURE_SIDE = 80;

class SmallCanvas {
  readonly element = h("span", { class: "as-river-map" });
  readonly #pixels = new PixelBuffer();
  #shown: SmallMap | undefined;

  constructor() {
    this.#pixels.canvas.setAttribute("aria-hidden", "true");
    this.#pixels.canvas.hidden = true;
    this.element.append(this.#pixels.canvas);
  }

  show(map: SmallMap | undefined): void {
    if (map === this.#shown) return;
    this.#shown = map;
    this.#pixels.canvas.hidden = !map;
    if (!map) return;
    const { heat, limit, table } = map;
    this.#pixels.paint(heat.w, heat.h, (out) => paintValues(heat.values, limit, table, out));
    setAttribute(this.#pixels.canvas, "data-few", Math.max(heat.w, heat.h) <= FEW ? "1" : undefined);
  }
}

export class RiverMaps {
  readonly element = h("div", { class: "as-river-maps", "aria-hidden": "true" });
  readonly #picture = h("canvas", { "aria-hidden": "true" });
  readonly #input = h("span", { class: "as-river-map" }, this.#picture);
  #maps: readonly SmallCanvas[] = [];
  #pictured: Picture | undefined;

  /** How many maps there are, besides the picture. */
  resize(count: number): void {
    if (count === this.#maps.length && this.element.firstChild) return;
    this.#maps = Array.from({ length: count }, () => new SmallCanvas());
    this.element.replaceChildren(this.#input, ...this.#maps.map(({ element }) => element));
  }

  showPicture(picture: Picture | undefined): void {
    if (picture === this.#pictured) return;
    this.#pictured = picture;
    this.#picture.hidden = !picture;
    if (!picture) return;
    const scale = Math.min(1, PICTURE_SIDE / Math.max(picture.w, picture.h));
    const size = { width: Math.max(1, picture.w * scale), height: Math.max(1, picture.h * scale) };
    Object.assign(this.#picture, size);
    const ctx = context(this.#picture);
    if (!ctx) return;
    ctx.imageSmoothingQuality = "high";
    ctx.drawImage(pictureCanvas(picture.image), 0, 0, this.#picture.width, this.#picture.height);
  }

  show(index: number, map: SmallMap | undefined): void {
    this.#maps[index]!.show(map);
  }

  /** Marks the one that the picked layer is in: 0 is the picture, and -1 none. */
  mark(picked: number): void {
    [this.#input, ...this.#maps.map(({ element }) => element)].forEach((element, i) => {
      setAttribute(element, "data-picked", i === picked ? "1" : undefined);
    });
  }
}
