/** How a map is drawn: the choices of style, read together, and the controls that change them on the page alone. */
import { h, setAttribute } from "../lib/dom";
import { button, select, slider } from "../lib/form-controls";
import { number, percent } from "../lib/format";
import { heldLimit, MODES, SIGNS } from "../selection/style";
import type { State, TraitName } from "../state/state";
import type { Mode, Sign } from "../state/traits";
import { Refusal } from "./refusal";

/** Switches a control off where it would do nothing, and says why. */
function useful(
  element: HTMLElement,
  control: HTMLInputElement | HTMLSelectElement,
  why: string,
  usual = "",
): void {
  control.disabled = why !== "";
  element.title = why || usual;
  setAttribute(element, "data-off", why ? "1" : undefined);
}

const OUTLIERS = "Share of the largest values that is clipped when the colour scale is chosen";

/** Only for the traits that this model has. `limit` gives the end of the present scale, for holding it. */
export function styleControls(state: State, limit: () => number): HTMLElement {
  const { signal } = state;
  const mode = select("Mode", signal, (v) => state.set("mode", v as Mode));
  const opacity = slider("Opacity", { min: 0, max: 1, step: 0.01 }, signal, (v) => state.drag("opacity", v));
  const outliers = slider("Outlier percentile", { min: 0, max: 50, step: 0.5 }, signal, (v) =>
    state.drag("outlier_percent", v),
  );
  const colours = select("Colour map", signal, (v) => state.set("colormap", v));
  const sign = select("Sign", signal, (v) => state.set("sign", v as Sign));
  const hold = button("as-button as-hold", "Hold scale", signal, () => {
    state.set("scale_limit", heldLimit(state) === null && limit() > 0 ? limit() : null);
  });

  state.follow(["mode"], () => {
    const now = state.get("mode") ?? "blended";
    mode.show(MODES, now);
    useful(opacity.element, opacity.input, now === "blended" ? "" : "Opacity is for the blended mode");
    useful(colours.element, colours.input, now === "masked" ? "The mask has no colours" : "");
  });
  state.follow(["opacity"], () => {
    const value = state.get("opacity") ?? 0;
    opacity.show(value, `${Math.round(value * 100)}%`);
  });
  state.follow(["outlier_percent", "scale_limit"], () => {
    const value = state.get("outlier_percent") ?? 0;
    const held = heldLimit(state);
    outliers.input.max = String(value > 50 ? 100 : 50);
    outliers.show(value, percent(value / 100));
    useful(outliers.element, outliers.input, held === null ? "" : "The scale is held", OUTLIERS);
    setAttribute(hold, "aria-pressed", String(held !== null));
    hold.title =
      held === null
        ? "Keep the colour scale for the maps that follow, so that their colours can be compared"
        : `The colour scale ends at ${number(held)} for every map; press to let each map have its own`;
  });
  state.follow(["colormap", "luts"], () => {
    const luts = Object.entries(state.get("luts") ?? {});
    const named = luts.map(([value, { label, kind }]) => ({
      value,
      label,
      group: kind === "diverging" ? "Diverging" : "Sequential",
    }));
    colours.show([{ value: "auto", label: "Auto" }, ...named], state.get("colormap") ?? "auto");
  });
  state.follow(["sign"], () => sign.show(SIGNS, state.get("sign") ?? "all"));

  const row = h("div", { class: "as-controls" });
  const add = (trait: TraitName, element: HTMLElement, control: HTMLElement): void => {
    if (state.has(trait)) row.append(element, new Refusal(state, trait, [control]).element);
  };
  add("mode", mode.element, mode.input);
  add("sign", sign.element, sign.input);
  add("colormap", colours.element, colours.input);
  if (state.has("scale_limit")) {
    const refusal = new Refusal(state, "scale_limit", [hold]);
    row.append(h("div", { class: "as-field as-field-button" }, hold), refusal.element);
  }
  add("opacity", opacity.element, opacity.input);
  add("outlier_percent", outliers.element, outliers.input);
  return row;
}
