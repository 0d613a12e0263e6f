/** The layer method, and the slider from the input through all layers that have a map. */
import { needKernel } from "../controls/needs-kernel";
import { Refusal } from "../controls/refusal";
import { h, setText, setVariable } from "../lib/dom";
import { type Select, select, showRange } from "../lib/form-controls";
import { canPick, layerNumber, layerText, mappedLayers, numberedLayer } from "../selection/layer";
import type { State } from "../state/state";
import type { View } from "../state/view";

/** The select box of the layer method, where there are several. */
class LayerMethod {
  readonly element: HTMLElement;
  readonly refusal: Refusal;
  readonly #select: Select;

  constructor(state: State) {
    this.#select = select("Layer method", state.signal, (name) => {
      this.refusal.clear();
      state.choose("layer_method", name);
    });
    this.element = this.#select.element;
    needKernel(state, this.#select.input);
    this.refusal = new Refusal(state.view, "layer_method", [this.#select.input]);
    state.follow(this);
  }

  show(view: View): void {
    this.refusal.show(view);
    const methods = view.get("layer_methods");
    const now = view.get("layer_method");
    this.#select.show(
      methods.map(({ name, label }) => ({ value: name, label })),
      now,
    );
    this.element.title = methods.find(({ name }) => name === now)?.doc ?? "";
  }
}

export class LayerSlider {
  readonly nodes: readonly HTMLElement[];
  readonly #input = h("input", {
    class: "as-range",
    type: "range",
    min: 0,
    step: 1,
    "aria-label": "Depth",
    "aria-keyshortcuts": "[ ]",
  });
  readonly #output = h("span", { class: "as-value", "aria-hidden": "true" });
  readonly #field: HTMLElement;
  readonly #state: State;
  readonly #pick: (name: string | null) => void;

  /** `pick` takes the name of a layer, or null for the input. */
  constructor(state: State, pick: (name: string | null) => void) {
    this.#state = state;
    this.#pick = pick;
    const input = this.#input;
    const output = this.#output;
    this.#field = h(
      "label",
      { class: "as-field as-field-slider", title: "Scrub through the layers that have a map; keys [ and ]" },
      h("span", { class: "as-label" }, "Depth"),
      input,
      output,
    );
    const method = state.view.has("layer_methods") ? new LayerMethod(state) : undefined;
    const row = h("div", { class: "as-layer-slider" }, ...(method ? [method.element] : []), this.#field);
    this.nodes = [row, ...(method ? [method.refusal.node] : [])];
    input.addEventListener("input", () => this.#moved(), { signal: state.signal });
    state.follow(this);
  }

  show(view: View): void {
    const field = this.#field;
    const input = this.#input;
    const output = this.#output;
    const { length } = mappedLayers(view);
    const number = layerNumber(view);
    field.hidden = length === 0;
    input.max = String(length);
    showRange(input, number, layerText(view));
    setText(output, `${number} / ${length}`);
    setVariable(output, "--as-most", `${length} / ${length}`.length); // so that the track keeps its length
  }

  #moved(): void {
    const { view } = this.#state;
    const name = numberedLayer(view, Number(this.#input.value));
    if (canPick(view, name)) this.#pick(name);
    else this.show(view); // it stays where the picked layer is
  }
}
