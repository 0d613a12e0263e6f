/** The ways out of a picked layer or neuron. */
import { whyOff } from "./needs-kernel";
import { focusNear } from "../lib/dom";
import { button } from "../lib/form-controls";
import { canPick, pickLayer } from "../selection/layer";
import { scopeOf } from "../selection/scope";
import type { State } from "../state/state";
import type { View } from "../state/view";

export class BackButtons {
  readonly nodes: readonly HTMLButtonElement[];
  readonly #toLayer: HTMLButtonElement;
  readonly #toInput: HTMLButtonElement;
  readonly #left: () => void;

  /** `left` is told when a button goes away that had the focus. */
  constructor(state: State, left: () => void) {
    this.#left = left;
    this.#toLayer = button("as-link as-to-layer", "Back to layer", state.signal, () => {
      pickLayer(state, state.view.get("layer"));
    });
    this.#toInput = button("as-link", "Back to input", state.signal, () => pickLayer(state, null));
    this.nodes = [this.#toLayer, this.#toInput];
    state.follow(this);
  }

  show(view: View): void {
    const toLayer = this.#toLayer;
    const toInput = this.#toInput;
    const scope = scopeOf(view);
    const held = this.nodes.find((one) => one === focusNear(one));
    toLayer.hidden = scope !== "neuron";
    toInput.hidden = scope === "input";
    this.#offer(
      view,
      toLayer,
      view.get("layer"),
      "Show the layer's map again instead of the picked neuron's",
    );
    this.#offer(view, toInput, null, "Show the input-level method again instead of the picked layer");
    if (held?.hidden) this.#left();
  }

  #offer(view: View, to: HTMLButtonElement, layer: string | null, hint: string): void {
    to.disabled = !canPick(view, layer);
    const title = to.disabled ? (whyOff(view.kernel) ?? hint) : hint;
    if (to.title !== title) to.title = title;
  }
}
