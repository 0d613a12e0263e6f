/** The controls that change on the page alone how a map is drawn. */
import { h, setAttribute } from "../lib/dom";
import { button, type Select, select, type Slider, slider } from "../lib/form-controls";
import { number, percent } from "../lib/format";
import { blockSide, sidesOf, whyNotSummed } from "../selection/detail";
import { displayed } from "../selection/displayed";
import { heldLimit, lutsOf, MODES, SIGNS } from "../selection/style";
import type { State } from "../state/state";
import type { Mode, Sign } from "../state/messages.generated";
import type { TraitName, View } from "../state/view";
import { Refusal } from "./refusal";

const DETAIL = "Single pixels, or their sums over blocks";
const OUTLIERS = "Share of the largest values that is clipped when the colour scale is chosen";
/** The slider goes as far as makes sense, and further only when somebody has set more. */
const MOST_OUTLIERS = 50;

/** Switches a control off where it would do nothing, and says why. */
function useful({ element, input }: Slider | Select, why: string, usual = ""): void {
  input.disabled = why !== "";
  element.title = why || usual;
  setAttribute(element, "data-off", why ? "1" : undefined);
}

/** One control for each of the traits of style that this model has. */
export class StyleControls {
  /** What is used all the time: how strong the map is. */
  readonly sliders = h("div", { class: "as-sliders" });
  /** All others. */
  readonly node = h("div", { class: "as-controls" });
  readonly #mode: Select;
  readonly #sign: Select;
  readonly #colours: Select;
  readonly #detail: Slider;
  readonly #opacity: Slider;
  readonly #outliers: Slider;
  readonly #hold: HTMLButtonElement;
  readonly #state: State;

  /** `limit` gives the end of the present scale, for holding it. */
  constructor(state: State, limit: () => number) {
    this.#state = state;
    const { signal } = state;
    this.#mode = select("Mode", signal, (v) => state.set("mode", v as Mode));
    this.#sign = select("Sign", signal, (v) => state.set("sign", v as Sign));
    this.#colours = select("Colour map", signal, (v) => state.set("colormap", v));
    this.#detail = slider("Detail", { min: 0, max: 1, step: 1 }, signal, (i) => {
      state.set("detail", sidesOf(state.view).at(-1 - i)!);
    });
    this.#opacity = slider("Opacity", { min: 0, max: 1, step: 0.01 }, signal, (v) => {
      state.drag("opacity", v);
    });
    this.#outliers = slider("Outlier percentile", { min: 0, max: MOST_OUTLIERS, step: 0.5 }, signal, (v) => {
      state.drag("outlier_percent", v);
    });
    this.#hold = button("as-button as-hold", "Hold scale", signal, () => {
      state.set("scale_limit", heldLimit(state.view) === null && limit() > 0 ? limit() : null);
    });
    const { view } = state;
    this.#add(view, "mode", this.#mode.element, this.#mode.input);
    this.#add(view, "sign", this.#sign.element, this.#sign.input);
    this.#add(view, "colormap", this.#colours.element, this.#colours.input);
    this.#add(view, "scale_limit", h("div", { class: "as-field as-field-button" }, this.#hold), this.#hold);
    this.#add(view, "detail", this.#detail.element, this.#detail.input, this.sliders);
    this.#add(view, "opacity", this.#opacity.element, this.#opacity.input, this.sliders);
    this.#add(view, "outlier_percent", this.#outliers.element, this.#outliers.input);
    // One by one: a slider in the hand changes its own trait in every frame, and the others stay.
    state.follow({ show: (now) => this.#showMode(now) });
    state.follow({ show: (now) => this.#showColours(now) });
    state.follow({ show: (now) => this.#showDetail(now) });
    state.follow({ show: (now) => this.#showOpacity(now) });
    state.follow({ show: (now) => this.#showScale(now) });
  }

  #showMode(view: View): void {
    const mode = view.get("mode");
    this.#mode.show(MODES, mode);
    this.#sign.show(SIGNS, view.get("sign"));
    useful(this.#opacity, mode === "blended" ? "" : "Opacity is for the blended mode");
    useful(this.#colours, mode === "masked" ? "The mask has no colours" : "");
  }

  #showOpacity(view: View): void {
    const opacity = view.get("opacity");
    this.#opacity.show(opacity, `${Math.round(opacity * 100)}%`);
  }

  /** From regions on the left to pixels on the right. */
  #showDetail(view: View): void {
    const detail = this.#detail;
    const sides = sidesOf(view);
    const side = blockSide(view);
    const { heat, kind } = displayed(view);
    const why = heat && whyNotSummed(heat);
    detail.input.max = String(Math.max(1, sides.length - 1));
    const fine = sides.length - 1 - sides.indexOf(side);
    detail.show(
      why ? sides.length - 1 : fine,
      why ? "as it is" : side === 1 ? "pixels" : `sum of ${side} px`,
    );
    useful(
      detail,
      why ?? (kind === "empty" || sides.length < 2 ? "There is nothing to sum over" : ""),
      DETAIL,
    );
  }

  #showColours(view: View): void {
    const named = Object.entries(lutsOf(view)).map(([value, { label, kind }]) => ({
      value,
      label,
      group: kind === "diverging" ? "Diverging" : "Sequential",
    }));
    this.#colours.show([{ value: "auto", label: "Auto" }, ...named], view.get("colormap"));
  }

  #showScale(view: View): void {
    const outliers = this.#outliers;
    const hold = this.#hold;
    const percentile = view.get("outlier_percent");
    const held = heldLimit(view);
    outliers.input.max = String(percentile > MOST_OUTLIERS ? 100 : MOST_OUTLIERS);
    outliers.show(percentile, percent(percentile / 100));
    useful(outliers, held === null ? "" : "The scale is held", OUTLIERS);
    setAttribute(hold, "aria-pressed", String(held !== null));
    hold.title =
      held === null
        ? "Keep the colour scale for the maps that follow, so that their colours can be compared"
        : `The colour scale ends at ${number(held)} for every map; press to let each map have its own`;
  }

  #add(view: View, trait: TraitName, element: HTMLElement, control: HTMLElement, to = this.node): void {
    if (!view.has(trait)) return;
    const refusal = new Refusal(view, trait, [control]);
    this.#state.follow(refusal);
    to.append(element, refusal.node);
  }
}
