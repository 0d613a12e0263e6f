/** The layers: a searchable tree of the model's modules, and a slider through those with a map. */
import { whyOff } from "../controls/needs-kernel";
import { Refusal } from "../controls/refusal";
import { card } from "../lib/card";
import { h, setAttribute } from "../lib/dom";
import { pickLayer, stepByKey } from "../selection/layer";
import type { State } from "../state/state";
import type { View } from "../state/view";
import { LayerSlider } from "./layer-slider";
import { LayerTree } from "./layer-tree";

export class LayersCard {
  readonly node: HTMLElement;
  readonly #tree: LayerTree;
  readonly #refusal: Refusal;
  readonly #carries = h("span", {}, "Carries");
  readonly #search = h("input", {
    class: "as-search",
    type: "search",
    placeholder: "Search layers",
    "aria-label": "Search layers",
    autocomplete: "off",
    spellcheck: "false",
  });
  readonly #state: State;

  constructor(state: State) {
    this.#state = state;
    const { signal, view } = state;
    const frame = card("as-layers", "Layers");
    this.node = frame.element;
    this.#tree = new LayerTree(state, {
      pick: (name) => this.#pick(name),
      stepped: () => this.#refusal.clear(),
    });
    this.#refusal = new Refusal(view, "layer", [this.#tree.box]);
    frame.head.append(this.#search);
    const header = h(
      "div",
      { class: "as-columns", "aria-hidden": "true" },
      h("span", {}, "Module"),
      this.#carries,
      h("span", { class: "as-number" }, "Output"),
      h("span", { class: "as-number" }, "Parameters"),
    );
    frame.element.append(
      ...new LayerSlider(state, (name) => this.#pick(name)).nodes,
      header,
      this.#tree.box,
      this.#tree.nothing,
      this.#refusal.node,
    );
    this.#search.addEventListener("input", () => this.#tree.search(this.#search.value), { signal });
    this.#search.addEventListener("keydown", (event) => this.#searched(event), { signal });
    this.node.addEventListener("keydown", (event) => this.#stepped(event), { signal });
    state.follow(this);
  }

  show(view: View): void {
    this.#refusal.show(view);
    const { label, doc } = view.get("layer_relevance");
    this.#carries.title = [label, doc].filter(Boolean).join("\n");
    const why = whyOff(view.kernel);
    setAttribute(this.#tree.box, "aria-disabled", why ? "true" : undefined);
    this.#tree.box.title = why ?? "";
  }

  #pick(name: string | null): void {
    this.#refusal.clear();
    pickLayer(this.#state, name);
  }

  #searched(event: KeyboardEvent): void {
    if ((event.key === "ArrowDown" || event.key === "Enter") && this.#tree.focusFound()) {
      event.preventDefault();
    }
  }

  #stepped(event: KeyboardEvent): void {
    if (event.target !== this.#search && stepByKey(this.#state, event)) this.#refusal.clear();
  }
}
