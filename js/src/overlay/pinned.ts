/** The map that was kept: beside the present one, on the same scale, zoomed and pointed at together with it. */
import { whyOff } from "../controls/needs-kernel";
import { clipped, focusNear, h, setAttribute, setClipped } from "../lib/dom";
import { sameValue } from "../lib/equality";
import { button } from "../lib/form-controls";
import type { Point } from "../lib/zoom";
import type { Shown } from "../selection/displayed";
import type { State } from "../state/state";
import type { RawHeat } from "../state/traits";
import { describe } from "./descriptions";
import { handle } from "./pointing";
import { type Look, Stage } from "./stage";

export class Stages {
  /** Both, or the present one alone: nothing of the kept one is in the document until there is one. */
  readonly element: HTMLElement;
  readonly present = new Stage();
  private readonly kept = new Stage();
  private readonly title = clipped("as-pin-title");
  private readonly view: HTMLElement;
  private drawn: Shown | undefined;

  /** `unpin` stands above the kept map. */
  constructor(
    signal: AbortSignal,
    unpin: HTMLElement,
    hands: { pointed(byKeyboard: boolean): void; moved(): void },
  ) {
    const { present, kept } = this;
    this.view = h(
      "div",
      { class: "as-view as-pinned" },
      h("div", { class: "as-pin-head" }, this.title, unpin),
    );
    this.view.append(kept.element);
    this.element = h("div", { class: "as-stages" }, h("div", { class: "as-view" }, present.element));
    for (const [one, other] of [
      [present, kept],
      [kept, present],
    ] as const) {
      handle(one, signal, {
        pointed(byKeyboard) {
          other.pointAlong(elsewhere(one, other));
          hands.pointed(byKeyboard);
        },
        moved() {
          other.look(one.view);
          hands.moved();
        },
      });
    }
  }

  /** Draws both. */
  draw(shown: Shown, pinned: Shown | undefined, look: Look): void {
    this.present.draw(shown, look);
    if (!pinned !== !this.drawn) {
      if (pinned) this.element.prepend(this.view);
      else this.view.remove();
      setAttribute(this.element, "data-pinned", pinned ? "1" : undefined);
    }
    this.drawn = pinned;
    if (!pinned) return;
    if (this.kept.view !== this.present.view) this.kept.look(this.present.view);
    this.kept.draw(pinned, look);
    setClipped(this.title, pinned.title);
    setAttribute(this.kept.canvas, "aria-label", `Pinned: ${describe(pinned, look.mode)}`);
  }

  /** The pixel of the kept picture that is pointed at; undefined where there is none. */
  get keptPoint(): Point | undefined {
    return this.drawn && this.kept.point;
  }
}

/** The same place in a picture that may be of another size. */
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
function whyNotPin(state: State, { kind, heat }: Shown): string | undefined {
  const off = whyOff(state.kernel);
  if (off) return off;
  if (kind !== "heat") return "There is no map to keep";
  const told = state.get("heat") ?? {};
  const kept = state.get("pinned")?.heat;
  if (kept && told.request === heat?.request && sameValue(withoutData(kept), withoutData(told))) {
    return "This map is pinned";
  }
  return undefined;
}

/** The buttons that keep the map on show, and let go of the kept one; `show` brings them up to date. */
export function pinButtons(state: State): {
  pin: HTMLElement[];
  unpin: HTMLButtonElement;
  show(shown: Shown): void;
} {
  const pin = button("as-button", "Pin", state.signal, () => state.send({ type: "pin" }));
  const unpin = button("as-link", "Unpin", state.signal, () => state.send({ type: "unpin" }));
  return {
    pin: state.has("pinned") ? [pin] : [],
    unpin,
    show(shown) {
      const why = whyNotPin(state, shown);
      const gone = unpin === focusNear(unpin) && !state.get("pinned")?.heat;
      pin.disabled = why !== undefined;
      const title = why ?? "Keep this map, and look at others beside it on the same scale";
      if (pin.title !== title) pin.title = title;
      unpin.disabled = whyOff(state.kernel) !== undefined;
      if (gone) pin.focus();
    },
  };
}
