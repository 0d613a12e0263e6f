/** The layer method, and the slider through the depth: from the input through all layers that have a map. */
import { needKernel } from "../controls/needs-kernel";
import { Refusal } from "../controls/refusal";
import { h, setText, setVariable } from "../lib/dom";
import { select, showRange } from "../lib/form-controls";
import { canPick, depthPlace, depthText, mappedLayers } from "../selection/layer";
import type { State } from "../state/state";
import { CHOICES } from "../state/traits";

/** `pick` takes the name of a layer, or null for the input. */
export function depthControls(state: State, pick: (name: string | null) => void): HTMLElement[] {
  const { signal } = state;
  const row = h("div", { class: "as-depth" });
  const elements: HTMLElement[] = [row];

  if (state.has("layer_methods")) {
    const method = select("Layer method", signal, (name) => {
      refusal.clear();
      state.choose("layer_method", name);
    });
    needKernel(state, method.input);
    const refusal = new Refusal(state, "layer_method", [method.input]);
    row.append(method.element);
    elements.push(refusal.element);
    state.follow(["layer_method", "layer_methods"], () => {
      const methods = state.get("layer_methods") ?? [];
      const now = state.get("layer_method") ?? "";
      method.show(
        methods.map(({ name, label }) => ({ value: name, label })),
        now,
      );
      method.element.title = methods.find(({ name }) => name === now)?.doc ?? "";
    });
  }

  const input = h("input", {
    class: "as-range",
    type: "range",
    min: 0,
    step: 1,
    "aria-label": "Depth",
    "aria-keyshortcuts": "[ ]",
  });
  const output = h("span", { class: "as-value", "aria-hidden": "true" });
  const slider = h(
    "label",
    { class: "as-field as-field-slider", title: "Scrub through the layers that have a map; keys [ and ]" },
    h("span", { class: "as-label" }, "Depth"),
    input,
    output,
  );
  row.append(slider);
  input.addEventListener(
    "input",
    () => {
      const place = Number(input.value);
      const name = place === 0 ? null : mappedLayers(state)[place - 1]!;
      if (canPick(state, name)) pick(name);
      else show(); // it stays where the picked layer is
    },
    { signal },
  );
  const show = (): void => {
    const { length } = mappedLayers(state);
    const place = depthPlace(state);
    slider.hidden = length === 0;
    input.max = String(length);
    showRange(input, place, depthText(state));
    setText(output, `${place} / ${length}`);
    setVariable(output, "--as-most", `${length} / ${length}`.length); // so that the track keeps its length
  };
  state.follow(["layers", "depth", ...CHOICES], show);
  return elements;
}
