/** The ends of the path: the baseline and the input, as small pictures, where they are some, with names. */
import type { Picture } from "../data/messages";
import { context, pictureCanvas } from "../lib/canvas";
import { clipped, h, setClipped } from "../lib/dom";
import { baselineLabel } from "../selection/baselines";
import { currentBaseline, currentPicture } from "../selection/displayed";
import { stageWords } from "../selection/words";
import type { State } from "../state/state";
import type { View } from "../state/view";

export class PathEnds {
  readonly node: HTMLElement;
  readonly #start = new PathEnd("as-end-start");
  readonly #finish = new PathEnd("as-end-finish");

  constructor(state: State) {
    this.node = h("div", { class: "as-ends" }, this.#start.element, this.#finish.element);
    state.follow(this);
  }

  show(view: View): void {
    const name = baselineLabel(view);
    this.#start.show(name || "the baseline", currentBaseline(view));
    this.#finish.show(stageWords(view).input, currentPicture(view));
  }
}

class PathEnd {
  readonly element: HTMLElement;
  readonly #label = clipped("as-end-name");
  readonly #thumbnail = h("canvas", {
    class: "as-thumb",
    width: 56,
    height: 56,
    "aria-hidden": "true",
    hidden: true,
  });
  #drawn: Picture | undefined;

  constructor(className: string) {
    this.element = h("span", { class: `as-end ${className}` }, this.#thumbnail, this.#label);
  }

  show(name: string, picture: Picture | undefined): void {
    const thumbnail = this.#thumbnail;
    setClipped(this.#label, name);
    thumbnail.hidden = !picture;
    if (!picture || picture === this.#drawn) return;
    this.#drawn = picture;
    const side = Math.min(picture.image.w, picture.image.h);
    context(thumbnail)?.drawImage(
      pictureCanvas(picture.image),
      (picture.image.w - side) / 2,
      (picture.image.h - side) / 2,
      side,
      side,
      0,
      0,
      thumbnail.width,
      thumbnail.height,
    );
  }
}
