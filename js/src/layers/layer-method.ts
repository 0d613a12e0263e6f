/** The method by which layers are explained: their maps along the river, and that of the picked one. */
import { needKernel } from "../controls/needs-kernel";
import { Refusal } from "../controls/refusal";
import { type Select, select } from "../lib/form-controls";
import type { State } from "../state/state";
import type { View } from "../state/view";

/** The select box of the layer method, where there are several. */
export class LayerMethod {
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
