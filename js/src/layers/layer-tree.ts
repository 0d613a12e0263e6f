/** The tree of the model's modules: which are on show, which one is picked, what keys and clicks do. */
import { focusNear, h, setAttribute, setText } from "../lib/dom";
import { paced } from "../lib/schedule";
import { linkNodes, Tree } from "../lib/tree";
import { VirtualList } from "../lib/virtual-list";
import { isPickable } from "../data/layer-stops";
import { stepByKey } from "../selection/layer";
import type { State } from "../state/state";
import type { LayerRow } from "../state/messages.generated";
import type { View } from "../state/view";
import { type Entry, entriesOf, makeRow, updateRow } from "./layer-row";
import { layerRelevance, type Relevance } from "../selection/relevance";

/** Trees up to this many rows are opened a level further at the start. */
const ROWS_AT_START = 44;
/** How often the tree goes along with somebody who scrubs through the layers. */
const SCRUB_PACE_MS = 100;
/** As high as the style sheet has them. */
const ROW_HEIGHT = 24;

export interface TreeHands {
  /** A layer is picked, or with null the input. */
  pick(name: string | null): void;
  /** Another was picked by a step from the one before. */
  stepped(): void;
}

export class LayerTree {
  readonly box = h("div", { class: "as-tree", role: "tree", "aria-label": "Layers" });
  /** Stands there when a search finds nothing. */
  readonly nothing = h("div", { class: "as-nothing", hidden: true });
  readonly #list: VirtualList;
  #source: readonly LayerRow[] | undefined;
  #entries: readonly Entry[] = [];
  #rowOf: ReadonlyMap<string | null, number> = new Map();
  #tree = new Tree([]);
  #query = "";
  /** The rows on show. */
  #shown: readonly number[] | undefined;
  /** The picked row, now and as the tree shows it. */
  #present = -1;
  #picked: number | undefined;
  #relevance: readonly (Relevance | undefined)[] = [];
  #doc = "";
  /** Opening and scrolling the tree takes longer than a frame of scrubbing. */
  readonly #goAlong: () => void;
  readonly #state: State;
  readonly #hands: TreeHands;

  constructor(state: State, hands: TreeHands) {
    this.#state = state;
    this.#hands = hands;
    const { signal } = state;
    this.#list = new VirtualList({
      box: this.box,
      rowHeight: ROW_HEIGHT,
      signal,
      make: (i) => {
        const node = this.#tree.nodes[i]!;
        return makeRow(this.#entries[i]!, node.level, node.children.length > 0);
      },
      update: (element, i) => this.#update(element, i),
    });
    this.#goAlong = paced(() => this.#showPicked(), SCRUB_PACE_MS, signal);
    this.box.addEventListener("click", (event) => this.#clicked(event), { signal });
    this.box.addEventListener("keydown", (event) => this.#pressed(event), { signal });
    state.follow(this);
  }

  show(view: View): void {
    const layers = view.get("layers");
    const rebuilt = layers !== this.#source;
    if (rebuilt) this.#index(layers);
    this.#present = this.#rowOf.get(view.get("layer")) ?? -1;
    const relevance = layerRelevance(view);
    const doc = view.get("layer_relevance").doc ?? "";
    const changed = relevance !== this.#relevance || doc !== this.#doc;
    this.#relevance = relevance;
    this.#doc = doc;
    if (rebuilt) {
      this.#build();
      this.#showPicked();
    } else {
      if (changed) this.#list.refresh();
      this.#goAlong();
    }
  }

  /** Keeps what holds the words, and shows the first of it. */
  search(query: string): void {
    this.#query = query.trim();
    this.#tree.search(query);
    if (this.#query === "") {
      this.#showAgain();
      return;
    }
    this.#render();
    const first = this.#firstFound();
    if (first !== undefined) this.#list.reveal(first);
  }

  /** After a search the picked row stays in view, among rows that were not found. */
  #showAgain(): void {
    const present = Math.max(0, this.#present);
    this.#tree.reveal(present);
    if (!this.box.contains(focusNear(this.box))) this.#tree.focus = present;
    this.#render([present]);
    this.#list.keep(this.#tree.focus);
    this.#list.reveal(present);
  }

  /** Gives the focus to the first row that was found. Whether there is one. */
  focusFound(): boolean {
    const first = this.#firstFound();
    if (first !== undefined) this.#moveTo(first);
    return first !== undefined;
  }

  #index(layers: readonly LayerRow[]): void {
    this.#source = layers;
    this.#entries = entriesOf(layers);
    this.#rowOf = new Map(this.#entries.map(({ layer }, i) => [layer ? layer.name : null, i]));
    this.#tree = new Tree(linkNodes(this.#entries));
  }

  #build(): void {
    const tree = this.#tree;
    const list = this.#list;
    openAtStart(tree);
    tree.search(this.#query);
    this.#picked = undefined;
    tree.focus = Math.max(0, this.#present);
    tree.reveal(tree.focus);
    const held = this.box.contains(focusNear(this.box));
    list.show([]); // the rows of the tree before stand for other layers
    this.#shown = undefined;
    this.#render();
    if (held) list.focus(tree.focus);
  }

  /** Shows what the tree has on show; where that is the same as before, only what `changed`. */
  #render(changed: readonly number[] = []): void {
    const { nothing } = this;
    const tree = this.#tree;
    const list = this.#list;
    const visible = tree.visible();
    if (visible === this.#shown) {
      list.refresh(changed);
      return;
    }
    this.#shown = visible;
    list.show(visible, tree.focus);
    if (visible.length && list.indexOf(tree.focus) < 0) {
      let up = tree.focus;
      while (up >= 0 && list.indexOf(up) < 0) up = tree.nodes[up]?.parent ?? -1;
      tree.focus = up >= 0 ? up : visible[0]!;
      list.keep(tree.focus);
    }
    setAttribute(this.box, "data-empty", this.#source?.length ? undefined : "1");
    nothing.hidden = visible.length > 0;
    setText(nothing, visible.length ? "" : `No layer matches “${this.#query}”`);
  }

  #update(element: HTMLElement, i: number): void {
    const tree = this.#tree;
    const node = tree.nodes[i]!;
    setAttribute(element, "aria-selected", String(i === this.#present));
    setAttribute(element, "aria-expanded", node.children.length ? String(tree.isExpanded(i)) : undefined);
    setAttribute(element, "aria-setsize", String(node.siblings.length));
    setAttribute(element, "aria-posinset", String(node.posinset));
    setAttribute(element, "tabindex", i === tree.focus ? "0" : "-1");
    setAttribute(element, "data-found", tree.found(i) ? "1" : undefined);
    setAttribute(element, "data-kept", tree.matches(i) ? undefined : "1");
    updateRow(element, this.#entries[i]!, this.#relevance[i - 1], this.#doc);
  }

  #showPicked(): void {
    const tree = this.#tree;
    const list = this.#list;
    const present = this.#present;
    if (present === this.#picked) return;
    const before = this.#picked ?? -1;
    this.#picked = present;
    if (present >= 0) {
      tree.reveal(present);
      if (!this.box.contains(focusNear(this.box))) tree.focus = present;
    }
    this.#render([before, present]);
    list.keep(tree.focus);
    if (present > 0) list.reveal(present);
  }

  #moveTo(i: number): void {
    this.#tree.focus = i;
    this.#list.focus(i);
  }

  /** The focus goes along to what was just picked, for whoever listens. */
  #focusPicked(): void {
    const i = this.#rowOf.get(this.#state.view.get("layer")) ?? -1;
    if (i < 0) return;
    this.#present = i;
    this.#tree.reveal(i);
    this.#render();
    this.#moveTo(i);
  }

  #toggle(i: number): void {
    this.#tree.setExpanded(i, !this.#tree.isExpanded(i));
    this.#render();
  }

  #choose(i: number): void {
    const { layer } = this.#entries[i]!;
    if (!layer || isPickable(layer)) this.#hands.pick(layer ? layer.name : null);
    else if (this.#tree.nodes[i]!.children.length) this.#toggle(i);
  }

  #firstFound(): number | undefined {
    return this.#tree.visible().find((i) => this.#tree.matches(i));
  }

  #clicked(event: MouseEvent): void {
    const i = this.#list.itemOf(event.target);
    if (i === undefined) return;
    this.#moveTo(i);
    const twisty = (event.target as Element).closest(".as-twisty");
    if (twisty && this.#tree.nodes[i]!.children.length) this.#toggle(i);
    else this.#choose(i);
  }

  #pressed(event: KeyboardEvent): void {
    if (stepByKey(this.#state, event)) {
      event.stopPropagation(); // once is enough
      this.#hands.stepped();
      this.#focusPicked();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    const action = this.#tree.key(event.key, event.timeStamp);
    if (!action) return;
    event.preventDefault();
    if (action.toggle !== undefined) this.#toggle(action.toggle);
    if (event.key === "*") this.#render();
    if (action.focus !== undefined) this.#moveTo(action.focus);
    if (action.pick !== undefined) this.#choose(action.pick);
  }
}

/** Opens the model, and then level by level as long as the tree stays small. */
function openAtStart(tree: Tree): void {
  let rows = tree.nodes[0]?.siblings.length ?? 0;
  for (let level = 1; ; level++) {
    const parents = [...tree.nodes.keys()].filter(
      (i) => tree.nodes[i]!.level === level && tree.nodes[i]!.children.length > 0,
    );
    rows += parents.reduce((sum, i) => sum + tree.nodes[i]!.children.length, 0);
    if (!parents.length || (level > 1 && rows > ROWS_AT_START)) return;
    for (const i of parents) tree.setExpanded(i, true);
  }
}
