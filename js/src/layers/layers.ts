/** The layers: a river through those that have a map, and on demand a searchable tree of all of the model's modules. */
import { whyOff } from "../controls/needs-kernel";
import { Refusal } from "../controls/refusal";
import { card } from "../lib/card";
import { type Disclosure, disclosure } from "../lib/disclosure";
import { h, setAttribute } from "../lib/dom";
import { mappedLayers, pickLayer, stepByKey } from "../selection/layer";
import type { State } from "../state/state";
import type { View } from "../state/view";
import { LayerMethod } from "./layer-method";
import { LayerTree } from "./layer-tree";
import { River } from "./river";

export class LayersCard {
  readonly node: HTMLElement;
  readonly #tree: LayerTree;
  readonly #all: Disclosure;
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
  readonly #note = h(
    "div",
    { class: "as-note", hidden: true },
    "Pick a place on the river, or press ], to see what the model looks at there, channel by channel.",
  );
  /** The tree is closed where there is a river to go by, in the Explorer; that is seen when the layers come. */
  #decided = false;
  readonly #state: State;

  constructor(state: State) {
    this.#state = state;
    const { signal, view } = state;
    const frame = card("as-layers", "Layers");
    this.node = frame.element;
    const pick = (name: string | null): void => this.#pick(name);
    this.#tree = new LayerTree(state, { pick, stepped: () => this.#refusal.clear() });
    this.#refusal = new Refusal(view, "layer", [this.#tree.box]);
    this.#all = disclosure("All layers", "as-all-layers", signal);
    this.#all.panel.append(
      this.#search,
      h(
        "div",
        { class: "as-columns", "aria-hidden": "true" },
        h("span", {}, "Module"),
        this.#carries,
        h("span", { class: "as-number" }, "Output"),
        h("span", { class: "as-number" }, "Parameters"),
      ),
      this.#tree.box,
      this.#tree.nothing,
    );
    const method = view.has("layer_methods") ? new LayerMethod(state) : undefined;
    frame.head.hidden = method !== undefined; // in the Explorer the tab says what it is
    frame.element.append(
      new River(state, pick).node,
      h("div", { class: "as-layer-line" }, ...(method ? [method.element] : []), this.#all.button),
      ...(method ? [method.refusal.node, this.#note] : []),
      this.#all.panel,
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
    this.#note.hidden = view.get("layer") !== null || mappedLayers(view).length === 0;
    if (this.#decided || view.get("layers").length === 0) return;
    this.#decided = true;
    const alone = !view.has("layer_maps") || mappedLayers(view).length === 0;
    if (alone && !this.#all.open) this.#all.button.click();
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
