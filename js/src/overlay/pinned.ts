/** The map that was kept: beside the present one, on the same scale, zoomed and pointed at together with it. */
import { whyOff } from "../controls/needs-kernel";
import { clipped, focusNear, h, setAttribute, setClipped } from "../lib/dom";
import { sameValue } from "../lib/equality";
import { button } from "../lib/form-controls";
import type { Point } from "../lib/zoom";
import { type Displayed, displayed } from "../selection/displayed";
import type { State } from "../state/state";
import type { RawHeat } from "../state/messages.generated";
import type { View } from "../state/view";
import { describe } from "./descriptions";
import { type Brush, type Hands, Pointing } from "./pointing";
import { type Look, Stage } from "./stage";

export class Stages {
  /** Both, or the present one alone: nothing of the kept one is in the document until there is one. */
  readonly element: HTMLElement;
  readonly present = new Stage();
  readonly #kept = new Stage();
  readonly #title = clipped("as-pin-title");
  readonly #beside: HTMLElement;
  #drawn: Displayed | undefined;
  readonly #hands: Hands;

  /** `unpin` stands above the kept map; `brush` picks regions of the present picture. */
  constructor(
    signal: AbortSignal,
    unpin: HTMLElement,
    hands: Hands,
    brush: (stage: Stage) => Brush | undefined,
  ) {
    this.#hands = hands;
    const { present } = this;
    const kept = this.#kept;
    const head = h("div", { class: "as-pin-head" }, this.#title, unpin);
    this.#beside = h("div", { class: "as-view as-pinned" }, head, kept.element);
    this.element = h("div", { class: "as-stages" }, h("div", { class: "as-view" }, present.element));
    this.#join(present, kept, signal, brush(present));
    this.#join(kept, present, signal);
  }

  /** Draws both. */
  draw(shown: Displayed, pinned: Displayed | undefined, look: Look): void {
    this.present.draw(shown, look);
    if (!pinned !== !this.#drawn) {
      if (pinned) this.element.prepend(this.#beside);
      else this.#beside.remove();
      setAttribute(this.element, "data-pinned", pinned ? "1" : undefined);
    }
    this.#drawn = pinned;
    if (!pinned) return;
    if (this.#kept.viewport !== this.present.viewport) this.#kept.look(this.present.viewport);
    this.#kept.draw(pinned, look);
    setClipped(this.#title, pinned.title);
    setAttribute(this.#kept.canvas, "aria-label", `Pinned: ${describe(pinned, look.mode)}`);
  }

  /** The pixel of the kept picture that is pointed at; undefined where there is none. */
  get keptPoint(): Point | undefined {
    return this.#drawn && this.#kept.point;
  }

  /** What hands do on the one shows on the other. */
  #join(one: Stage, other: Stage, signal: AbortSignal, brush?: Brush): void {
    const hands: Hands = {
      pointed: (byKeyboard) => {
        other.pointAlong(elsewhere(one, other));
        this.#hands.pointed(byKeyboard);
        brush?.pointed(byKeyboard);
      },
      moved: () => {
        other.look(one.viewport);
        this.#hands.moved();
      },
    };
    new Pointing(one, signal, hands, brush);
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

const withoutData = (heat: RawHeat): RawHeat => ({ ...heat, data: undefined });

/** Why the map on show cannot be pinned; undefined when it can. */
function whyNotPin(view: View): string | undefined {
  const off = whyOff(view.kernel);
  if (off) return off;
  const { kind, heat } = displayed(view);
  if (kind !== "heat") return "There is no map to keep";
  const told = view.get("heat");
  const kept = view.get("pinned").heat;
  if (kept && told.request === heat?.request && sameValue(withoutData(kept), withoutData(told))) {
    return "This map is pinned";
  }
  return undefined;
}

/** The buttons that keep the map on show, and let go of the kept one. */
export class PinButtons {
  readonly pin: HTMLButtonElement;
  readonly unpin: HTMLButtonElement;

  constructor(state: State) {
    this.pin = button("as-button", "Pin", state.signal, () => state.send({ type: "pin" }));
    this.unpin = button("as-link", "Unpin", state.signal, () => state.send({ type: "unpin" }));
  }

  /** Before the kept map comes or goes: a button that is gone has lost the focus already. */
  show(view: View): void {
    const { pin, unpin } = this;
    const why = whyNotPin(view);
    const gone = unpin === focusNear(unpin) && !view.get("pinned").heat;
    pin.disabled = why !== undefined;
    const title = why ?? "Keep this map, and look at others beside it on the same scale";
    if (pin.title !== title) pin.title = title;
    unpin.disabled = whyOff(view.kernel) !== undefined;
    if (gone) pin.focus();
  }
}
