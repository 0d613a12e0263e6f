/** How what is on show is explained: the methods of the input, of the picked layer or of the picked neuron. */
import { derived } from "../lib/derived";
import { Menu, type MenuItem } from "../lib/menu";
import { lastMapped } from "../selection/places";
import { methodThumbnail } from "../selection/thumbnails";
import { type Scope, scopeOf } from "../selection/scope";
import { stageWords } from "../selection/words";
import type { MethodInfo } from "../state/messages.generated";
import type { State } from "../state/state";
import type { View } from "../state/view";
import { needKernel } from "./needs-kernel";
import { Refusal } from "./refusal";

const TRAIT = { input: "method", layer: "layer_method", neuron: "neuron_method" } as const;
/** Layer methods that are usually seen at the last layer begin so on the menu of the input. */
const AT_LAYER = "\n";
const LAYER_GROUP = "Of a layer: at the last one with a map";

/** The first sentence of what is said of a method, without whose it is: who wants that has the tooltip. */
function sentenceOf(doc: string): string {
  const own = doc.replace(/ \([^()]*\b(?:19|20)\d\d\b[^()]*\)/g, "");
  return /^.*?\.(?=\s|$)/.exec(own)?.[0] ?? own;
}

const itemOf = ({ name, label, doc }: MethodInfo): MenuItem => ({
  value: name,
  label,
  title: doc ? `${label}\n${doc}` : label,
  ...(doc ? { about: sentenceOf(doc) } : {}),
});

/** At the input also what shows a layer: picking one goes to the last layer that has a map. */
const itemsOf = derived((view: View): readonly MenuItem[] => {
  const scope = scopeOf(view);
  if (scope === "neuron") return view.get("neuron_methods").map(itemOf);
  const ofLayers = view.get("layer_methods");
  if (scope === "layer") return ofLayers.map(itemOf);
  const last = lastMapped(view);
  const ofPixels = view.get("methods").map(itemOf);
  if (last === undefined || !ofLayers.length) return ofPixels;
  return [
    ...ofPixels.map((item) => ({ ...item, group: `Of ${stageWords(view).parts}` })),
    ...ofLayers.map(itemOf).map((item) => ({ ...item, group: LAYER_GROUP, value: AT_LAYER + item.value })),
  ];
});

export class MethodMenu {
  readonly menu: Menu;
  readonly refusals: readonly Refusal[];
  readonly #state: State;

  constructor(state: State) {
    this.#state = state;
    this.menu = new Menu("Method", state.signal, (value) => this.#pick(value));
    this.menu.pictureOf = (value) => methodThumbnail(state.view, value.replace(AT_LAYER, ""));
    this.refusals = (["method", "layer_method", "neuron_method"] as const)
      .filter((trait) => state.view.has(trait))
      .map((trait) => new Refusal(state.view, trait, [this.menu.button]));
    needKernel(state, this.menu.button);
    state.follow(this);
  }

  show(view: View): void {
    for (const refusal of this.refusals) refusal.show(view);
    this.menu.show(itemsOf(view), view.get(TRAIT[scopeOf(view)]));
  }

  #pick(value: string): void {
    const state = this.#state;
    const { view } = state;
    for (const refusal of this.refusals) refusal.clear();
    const scope: Scope = scopeOf(view);
    const last = lastMapped(view);
    if (scope === "input" && value.startsWith(AT_LAYER) && last !== undefined) {
      state.choose("layer_method", value.slice(AT_LAYER.length));
      state.choose("layer", last);
    } else {
      state.choose(TRAIT[scope], value);
    }
    state.set("alpha", 1); // whoever picks a method wants to see its map, and not one half way
  }
}
