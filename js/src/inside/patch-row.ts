/** The patches that excite one channel most, side by side with where they are from. */
import { patchText, type SeenPatch } from "../data/patches";
import { context, pictureCanvas } from "../lib/canvas";
import { h } from "../lib/dom";

/** Patches of so few pixels are worth seeing pixel by pixel. */
const FEW = 12;

export class PatchRow {
  readonly element: HTMLElement;
  readonly #list = h("ul", { class: "as-patches", role: "list" });
  #shown: readonly SeenPatch[] = [];

  constructor() {
    this.element = h("div", { hidden: true }, h("div", { class: "as-label" }, "Excited most by"), this.#list);
  }

  /** Of so many examples that were looked at. */
  show(patches: readonly SeenPatch[], examples: number): void {
    this.element.hidden = patches.length === 0;
    if (patches === this.#shown) return;
    this.#shown = patches;
    this.#list.replaceChildren(
      ...patches.map((patch) => h("li", {}, canvasOf(patch), h("span", {}, patchText(patch, examples)))),
    );
  }
}

function canvasOf({ image }: SeenPatch): HTMLCanvasElement {
  const canvas = h("canvas", { width: image.w, height: image.h, "aria-hidden": "true" });
  if (Math.max(image.w, image.h) <= FEW) canvas.dataset.few = "1";
  context(canvas)?.drawImage(pictureCanvas(image), 0, 0);
  return canvas;
}
