/** One method's small map over the picture, with its name and how it stands. */
import { type SmallMap, smallMap } from "../data/small-map";
import type { Picture } from "../data/messages";
import { GROUND } from "../data/colour-tables";
import { paintValues } from "../data/painting";
import { scaleOf } from "../data/statistics";
import { context, pictureCanvas, PixelBuffer } from "../lib/canvas";
import { h, setAttribute, setText } from "../lib/dom";
import type { Style } from "../selection/style";
import type { Ranked } from "./ranking";
import { TileBars } from "./tile-bars";

/** Pixels along the longer side: enough for a tile on a sharp screen. */
const SIDE = 240;

/** How the tiles are drawn: the look of the big map, and the picture below it unless that is of another example. */
export interface TileLook extends Style {
  readonly picture: Picture | undefined;
  /** The columns of a table that stand there in place of a picture. */
  readonly columns: readonly number[] | undefined;
}

/** What the pointer tells of a tile. */
function tooltipOf({ method, words, standing }: Ranked): string {
  if (standing === "failed") return words;
  if (method.control) return `${method.label}: it knows nothing of the model`;
  const set = Object.entries(method.quick ?? {}).map(([name, value]) => `${name} ${String(value)}`);
  const where = method.layer === undefined ? "" : ` at ${method.layer}`;
  const quick = set.length ? `, quickly, with ${set.join(", ").replaceAll("_", " ")}` : "";
  return `Show this method's map: ${method.label}${where}${quick}`;
}

export class Tile {
  readonly node: HTMLElement;
  /** The button that picks the method; a control is none. */
  readonly pick: HTMLElement;
  readonly #canvas = h("canvas", { class: "as-tile-map", width: 1, height: 1, "aria-hidden": "true" });
  readonly #bars = new TileBars();
  readonly #name = h("span", { class: "as-tile-name", dir: "auto" });
  readonly #score = h("span", { class: "as-tile-score" });
  readonly #words = h("span", { class: "as-tile-words", dir: "auto" });
  readonly #map = new PixelBuffer();
  #drawn: readonly unknown[] = [];
  #tooltip = "";

  constructor(
    readonly name: string,
    control: boolean,
    pressed: () => void,
  ) {
    const inner = [this.#canvas, this.#name, this.#score, this.#words];
    this.pick = control
      ? h("div", { class: "as-tile-pick" }, ...inner)
      : h("button", { class: "as-tile-pick", type: "button" }, ...inner);
    if (!control) this.pick.addEventListener("click", pressed); // it goes with the element
    this.node = h("li", { class: "as-tile", "data-name": name }, this.pick);
  }

  /** What the tile says. */
  tell(ranked: Ranked, metric: string): void {
    const { method, value, standing, words } = ranked;
    setAttribute(this.node, "data-standing", standing);
    setText(this.#name, method.label);
    const score = `${metric} ${value}`;
    setText(this.#score, score);
    setText(this.#words, words);
    this.#words.hidden = !words;
    if (!method.control) {
      const spoken = [method.label, score, words].filter(Boolean).join(", ");
      setAttribute(this.pick, "aria-label", spoken);
    }
    this.#tooltip = tooltipOf(ranked);
  }

  /** Whether it is the map on show, and why it cannot be picked. */
  mark(picked: boolean, off: string | undefined): void {
    const { pick } = this;
    setAttribute(this.node, "data-picked", picked ? "1" : undefined);
    if (pick instanceof HTMLButtonElement) {
      setAttribute(pick, "aria-current", picked ? "true" : undefined);
      pick.disabled = off !== undefined;
    }
    const title = pick instanceof HTMLButtonElement ? (off ?? this.#tooltip) : this.#tooltip;
    if (pick.title !== title) pick.title = title;
  }

  draw(ranked: Ranked, look: TileLook): void {
    const map = ranked.method.map && smallMap(ranked.method.map);
    if (look.columns) {
      if (!this.#bars.node.isConnected) this.#canvas.replaceWith(this.#bars.node);
      this.#bars.draw(map, look.columns);
      return;
    }
    const now = [map, look.picture, look.table, look.mode, look.sign, look.outlierPercent];
    if (now.every((value, i) => value === this.#drawn[i]) && this.#drawn.length) return;
    this.#drawn = now;
    const { w, h: height } = look.picture ?? map ?? { w: 1, h: 1 };
    const scale = SIDE / Math.max(w, height);
    const size = {
      width: Math.max(1, Math.round(w * scale)),
      height: Math.max(1, Math.round(height * scale)),
    };
    const canvas = this.#canvas;
    if (canvas.width !== size.width || canvas.height !== size.height) Object.assign(canvas, size);
    const ctx = context(canvas);
    if (!ctx) return;
    const bare = !look.picture || (map !== undefined && (look.mode === "heat" || look.mode === "side"));
    if (bare) {
      ctx.fillStyle = `rgb(${GROUND} ${GROUND} ${GROUND})`;
      ctx.fillRect(0, 0, size.width, size.height);
    } else {
      ctx.imageSmoothingEnabled = true;
      ctx.drawImage(pictureCanvas(look.picture.image), 0, 0, size.width, size.height);
    }
    if (map) this.#drawMap(ctx, map, look, size);
  }

  #drawMap(
    ctx: CanvasRenderingContext2D,
    { w, h: height, values }: SmallMap,
    { table, sign, outlierPercent }: TileLook,
    size: { readonly width: number; readonly height: number },
  ): void {
    // Each map has a scale of its own: methods give numbers of different kinds.
    const { limit } = scaleOf(values, sign, outlierPercent);
    if (!table || !(limit > 0)) return;
    if (!this.#map.paint(w, height, (out) => paintValues(values, limit, table, out))) return;
    ctx.imageSmoothingEnabled = true;
    ctx.drawImage(this.#map.canvas, 0, 0, size.width, size.height);
  }
}
