/** The stages: the present map's; a pin's beside it; and one for what stands in the present one's place. */
import { whyOff } from "../controls/needs-kernel";
import { clipped, focusNear, h, setAttribute, setClipped } from "../lib/dom";
import { button } from "../lib/form-controls";
import type { Point } from "../lib/zoom";
import type { Displayed } from "../selection/displayed";
import type { Pin } from "../selection/pins";
import type { State } from "../state/state";
import { describe } from "./descriptions";
import { type Brush, type Hands, Pointing } from "./pointing";
import { type Look, Stage } from "./stage";

/** A stage with a pin's title above it, and a way to let go of the pin. */
class PinView {
  readonly stage = new Stage();
  readonly #title = clipped("as-pin-title");
  readonly #unpin: HTMLButtonElement;
  readonly #head: HTMLElement;
  readonly element: HTMLElement;
  #pin: Pin | undefined;

  constructor(state: State) {
    this.#unpin = button("as-link", "Unpin", state.signal, () => {
      if (this.#pin) state.send({ type: "unpin", pin: this.#pin.id });
    });
    this.#head = h("div", { class: "as-pin-head" }, this.#title, this.#unpin);
    this.element = h("div", { class: "as-view as-pinned" }, this.#head, this.stage.element);
  }

  /** Draws a pin, or something else that needs no title here. */
  draw(shown: Displayed, pin: Pin | undefined, look: Look, off: boolean): void {
    this.#pin = pin;
    this.#head.hidden = pin === undefined;
    this.#unpin.disabled = off;
    setClipped(this.#title, shown.title);
    this.stage.draw(shown, look);
    const words = describe(shown, look.mode);
    setAttribute(this.stage.canvas, "aria-label", pin ? `Pinned: ${words}` : words);
  }
}

/** What stands beside the present map, and what in its place; with its pin where it is one and its title is told there. */
export interface Others {
  readonly left: Pin | undefined;
  readonly instead: { readonly shown: Displayed; readonly pin: Pin | undefined } | undefined;
}

export class Stages {
  /** Nothing of a stage is in the document until there is something on it. */
  readonly element: HTMLElement;
  readonly present = new Stage();
  readonly #left: PinView;
  readonly #instead: PinView;
  readonly #view: HTMLElement;
  /** Above the present map while a pin stands beside it. */
  readonly #title = clipped("as-pin-title");
  readonly #head = h("div", { class: "as-pin-head", hidden: true }, this.#title);
  readonly #hands: Hands;
  readonly #state: State;

  readonly #letGo: () => void;

  /** `letGo` runs when the focus was on the button of a pin that is gone; `brush` picks regions of the present picture. */
  constructor(state: State, hands: Hands, letGo: () => void, brush: (stage: Stage) => Brush | undefined) {
    this.#letGo = letGo;
    this.#state = state;
    this.#hands = hands;
    const { present } = this;
    this.#left = new PinView(state);
    this.#instead = new PinView(state);
    this.#view = h("div", { class: "as-view" }, this.#head, present.element);
    this.element = h("div", { class: "as-stages" }, this.#view);
    this.#join(present, brush(present));
    this.#join(this.#left.stage);
    this.#join(this.#instead.stage);
  }

  /** The stage of what is told of. */
  get main(): Stage {
    return this.#instead.element.isConnected ? this.#instead.stage : this.present;
  }

  /** All that can be in the hand. */
  get canvases(): readonly HTMLCanvasElement[] {
    return [this.present, this.#left.stage, this.#instead.stage].map(({ canvas }) => canvas);
  }

  /** The pixel of the left picture that is pointed at; undefined where there is none. */
  get leftPoint(): Point | undefined {
    return this.#left.element.isConnected ? this.#left.stage.point : undefined;
  }

  /** Draws all, the left one in a look of its own. Whoever was on a stage that goes is on the one that comes. */
  draw(shown: Displayed, { left, instead }: Others, look: Look, ofLeft: Look): void {
    const off = whyOff(this.#state.view.kernel) !== undefined;
    const [before, beside] = [this.main, this.#left];
    const lost = this.#focusedIn(left, instead);
    this.#head.hidden = left === undefined;
    if (left) setClipped(this.#title, shown.title);
    this.present.draw(shown, look);
    if (left) this.#drawAlong(beside, left.shown, left, ofLeft, off);
    if (instead) this.#drawAlong(this.#instead, instead.shown, instead.pin, look, off);
    if (!left) beside.element.remove();
    else if (!beside.element.isConnected) this.element.prepend(beside.element);
    const now = instead ? this.#instead.element : this.#view;
    if (!now.isConnected) (instead ? this.#view : this.#instead.element).replaceWith(now);
    setAttribute(this.element, "data-pinned", left ? "1" : undefined);
    if (lost instanceof HTMLCanvasElement) this.main.canvas.focus({ preventScroll: true });
    else if (lost) this.#letGo();
    if (before !== this.main) this.main.pointAlong(undefined);
  }

  /** What has the focus among all that is about to go. */
  #focusedIn(left: Pin | undefined, instead: Others["instead"]): Element | undefined {
    const focused = focusNear(this.element);
    const going = [instead ? this.#view : this.#instead.element, ...(left ? [] : [this.#left.element])];
    return focused && going.some((element) => element.contains(focused)) ? focused : undefined;
  }

  /** The same part is in view as of the present picture, which may be of another size. */
  #drawAlong(view: PinView, shown: Displayed, pin: Pin | undefined, look: Look, off: boolean): void {
    const { stage } = view;
    const { viewport } = this.present;
    if (stage.viewport !== viewport) stage.look(viewport);
    view.draw(shown, pin, look, off);
    if (stage.viewport === viewport) return;
    stage.look(viewport); // a picture of another size shows itself whole at first
    view.draw(shown, pin, look, off);
  }

  /** What hands do on one shows on the others. */
  #join(one: Stage, brush?: Brush): void {
    const others = [this.present, this.#left.stage, this.#instead.stage].filter((stage) => stage !== one);
    const hands: Hands = {
      pointed: (byKeyboard) => {
        for (const other of others) other.pointAlong(elsewhere(one, other));
        this.#hands.pointed(byKeyboard);
        brush?.pointed(byKeyboard);
      },
      moved: () => {
        for (const other of others) other.look(one.viewport);
        this.#hands.moved();
      },
    };
    new Pointing(one, this.#state.signal, hands, brush);
  }
}

/** The same pixel in a picture that may be of another size. */
function elsewhere(of: Stage, other: Stage): Point | undefined {
  const { point } = of;
  if (!point || !other.width) return undefined;
  return {
    x: Math.floor(((point.x + 0.5) * other.width) / of.width),
    y: Math.floor(((point.y + 0.5) * other.height) / of.height),
  };
}
