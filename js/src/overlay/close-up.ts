/** Asks for the part of a large picture that is in view, at its own size: the whole came averaged down. */
import { whyOff } from "../controls/needs-kernel";
import { closeUp, type Picture } from "../data/messages";
import { sameValue } from "../lib/equality";
import type { Viewport } from "../lib/zoom";
import type { State } from "../state/state";
import type { View } from "../state/view";
import type { Stage } from "./stage";

/** Around what is in view, so that a small move shows no coarse edge: a share of it on each side. */
const AROUND = 0.25;
/** What moves is coarse until it has rested for so long. */
const REST_MS = 250;

/** The box of pixels that is worth asking for; null where the picture as it came is as fine. */
export function boxInView(picture: Picture | undefined, { zoom, left, top }: Viewport): number[] | null {
  if (!picture || picture.image.w >= picture.w || zoom <= 1) return null;
  const size = 1 / zoom;
  const low = (from: number, pixels: number): number =>
    Math.max(0, Math.floor((from - AROUND * size) * pixels));
  const high = (from: number, pixels: number): number =>
    Math.min(pixels, Math.ceil((from + (1 + AROUND) * size) * pixels));
  return [low(left, picture.w), low(top, picture.h), high(left, picture.w), high(top, picture.h)];
}

export class CloseUps {
  readonly #state: State;
  readonly #stage: Stage;
  #picture: Picture | undefined;
  #rest: ReturnType<typeof setTimeout> | undefined;

  constructor(state: State, stage: Stage) {
    this.#state = state;
    this.#stage = stage;
    state.signal.addEventListener("abort", () => clearTimeout(this.#rest));
  }

  /** Before the stage is drawn. */
  show(view: View, picture: Picture | undefined): void {
    if (!view.has("close_up") || !view.has("view_box")) return;
    this.#picture = picture;
    this.#stage.closeUp = closeUp(view.get("close_up"));
    clearTimeout(this.#rest);
    if (this.#wanted() === undefined) return;
    this.#rest = setTimeout(() => {
      const box = this.#wanted();
      if (box !== undefined) this.#state.choose("view_box", box);
    }, REST_MS);
  }

  /** What to ask for; undefined where that was asked for already, or nobody is there to ask. */
  #wanted(): number[] | null | undefined {
    const { view } = this.#state;
    if (whyOff(view.kernel)) return undefined;
    const box = boxInView(this.#picture, this.#stage.viewport);
    return sameValue(box, view.get("view_box")) ? undefined : box;
  }
}
