/** The layers: a searchable tree of the model's modules, and a slider through the depth of those with a map. */
import { whyOff } from "../controls/needs-kernel";
import { Refusal } from "../controls/refusal";
import { card } from "../lib/card";
import { focusNear, h, setAttribute, setText } from "../lib/dom";
import { paced } from "../lib/schedule";
import { linkNodes, Tree } from "../lib/tree";
import { VirtualList } from "../lib/virtual-list";
import { isPickable, pickLayer, stepByKey } from "../selection/layer";
import type { State } from "../state/state";
import type { LayerInfo } from "../state/traits";
import { entriesOf, type Entry, makeRow, showPassage } from "./layer-row";
import { depthControls } from "./layer-slider";
import { passageAt } from "./relevance-bar";

/** Trees up to this many rows are opened a level further at the start. */
const ROWS_AT_START = 44;
/** How often the tree goes along with somebody who scrubs through the depth. */
const SCRUB_PACE_MS = 100;
/** As high as the style sheet has them. */
const ROW_HEIGHT = 24;

export function layers(state: State, el: HTMLElement): void {
  const { signal } = state;
  const frame = card("as-layers", "Layers");
  const search = h("input", {
    class: "as-search",
    type: "search",
    placeholder: "Search layers",
    "aria-label": "Search layers",
    autocomplete: "off",
    spellcheck: "false",
  });
  frame.head.append(search);
  const carries = h("span", {}, "Carries");
  const header = h(
    "div",
    { class: "as-columns", "aria-hidden": "true" },
    h("span", {}, "Module"),
    carries,
    h("span", { class: "as-number" }, "Output"),
    h("span", { class: "as-number" }, "Parameters"),
  );
  const box = h("div", { class: "as-tree", role: "tree", "aria-label": "Layers" });
  const nothing = h("div", { class: "as-nothing", hidden: true });
  const refusal = new Refusal(state, "layer", [box]);
  const pickedName = (name: string | null): void => {
    refusal.clear();
    pickLayer(state, name);
  };
  frame.element.append(...depthControls(state, pickedName), header, box, nothing, refusal.element);
  el.append(frame.element);

  let source: readonly LayerInfo[] | undefined;
  let entries: Entry[] = [];
  let places = new Map<string | null, number>();
  let tree = new Tree([]);
  const pickedIndex = (): number => places.get(state.get("layer") ?? null) ?? -1;

  const list = new VirtualList({
    box,
    rowHeight: ROW_HEIGHT,
    signal,
    make: (i) => makeRow(entries[i]!, tree.nodes[i]!.level, tree.nodes[i]!.children.length > 0),
    update(element, i) {
      const node = tree.nodes[i]!;
      setAttribute(element, "aria-selected", String(i === pickedIndex()));
      setAttribute(element, "aria-expanded", node.children.length ? String(tree.isExpanded(i)) : undefined);
      setAttribute(element, "aria-setsize", String(node.siblings.length));
      setAttribute(element, "aria-posinset", String(node.posinset));
      setAttribute(element, "tabindex", i === tree.focus ? "0" : "-1");
      setAttribute(element, "data-found", tree.found(i) ? "1" : undefined);
      setAttribute(element, "data-kept", tree.matches(i) ? undefined : "1");
      showPassage(element, entries[i]!, passageAt(state, i - 1), state.get("flow")?.doc ?? "");
    },
  });

  let shown: readonly number[] | undefined;
  /** Shows what the tree has on show; where that is the same as before, only what `changed`. */
  const render = (changed: readonly number[] = []): void => {
    const visible = tree.visible();
    if (visible === shown) {
      list.refresh(changed);
      return;
    }
    shown = visible;
    list.show(visible, tree.focus);
    if (visible.length && list.placeOf(tree.focus) < 0) {
      let up = tree.focus;
      while (up >= 0 && list.placeOf(up) < 0) up = tree.nodes[up]?.parent ?? -1;
      tree.focus = up >= 0 ? up : visible[0]!;
      list.keep(tree.focus);
    }
    setAttribute(box, "data-empty", source?.length ? undefined : "1");
    nothing.hidden = visible.length > 0;
    setText(nothing, visible.length ? "" : `No layer matches “${search.value.trim()}”`);
  };

  let picked: number | undefined;
  const build = (infos: readonly LayerInfo[]): void => {
    source = infos;
    entries = entriesOf(infos);
    places = new Map(entries.map(({ layer }, i) => [layer ? layer.name : null, i]));
    tree = new Tree(linkNodes(entries));
    openAtStart(tree);
    tree.search(search.value);
    picked = undefined;
    tree.focus = Math.max(0, pickedIndex());
    tree.reveal(tree.focus);
    const held = box.contains(focusNear(box));
    list.show([]); // the rows of the tree before stand for other layers
    render();
    if (held) list.focus(tree.focus);
  };

  const moveTo = (i: number): void => {
    tree.focus = i;
    list.focus(i);
  };
  const toggle = (i: number): void => {
    tree.setExpanded(i, !tree.isExpanded(i));
    render();
  };
  const pick = (i: number): void => {
    const { layer } = entries[i]!;
    if (!layer || isPickable(layer)) pickedName(layer ? layer.name : null);
    else if (tree.nodes[i]!.children.length) toggle(i);
  };
  const firstFound = (): number | undefined => tree.visible().find((i) => tree.matches(i));

  box.addEventListener(
    "click",
    (event) => {
      const i = list.itemOf(event.target);
      if (i === undefined) return;
      moveTo(i);
      if ((event.target as Element).closest(".as-twisty") && tree.nodes[i]!.children.length) toggle(i);
      else pick(i);
    },
    { signal },
  );
  box.addEventListener(
    "keydown",
    (event) => {
      if (stepByKey(state, event)) {
        refusal.clear();
        event.stopPropagation(); // once is enough
        const i = pickedIndex();
        if (i < 0) return;
        tree.reveal(i);
        render();
        moveTo(i); // the focus goes along, for whoever listens
        return;
      }
      if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
      const action = tree.key(event.key, event.timeStamp);
      if (!action) return;
      event.preventDefault();
      if (action.toggle !== undefined) toggle(action.toggle);
      if (event.key === "*") render();
      if (action.focus !== undefined) moveTo(action.focus);
      if (action.pick !== undefined) pick(action.pick);
    },
    { signal },
  );
  frame.element.addEventListener(
    "keydown",
    (event) => {
      if (event.target !== search && stepByKey(state, event)) refusal.clear();
    },
    { signal },
  );
  search.addEventListener(
    "input",
    () => {
      tree.search(search.value);
      render();
      const first = search.value.trim() === "" ? undefined : firstFound();
      if (first !== undefined) list.reveal(first);
    },
    { signal },
  );
  search.addEventListener(
    "keydown",
    (event) => {
      if (event.key !== "ArrowDown" && event.key !== "Enter") return;
      const first = firstFound();
      if (first === undefined) return;
      event.preventDefault();
      moveTo(first);
    },
    { signal },
  );

  state.follow(["kernel"], () => {
    const why = whyOff(state.kernel);
    setAttribute(box, "aria-disabled", why ? "true" : undefined);
    box.title = why ?? "";
  });
  /** Shows the picked layer; opening and scrolling the tree takes longer than a frame of scrubbing. */
  const showPicked = (): void => {
    const i = pickedIndex();
    if (i === picked) return;
    const before = picked ?? -1;
    picked = i;
    if (i >= 0) {
      tree.reveal(i);
      if (!box.contains(focusNear(box))) tree.focus = i;
    }
    render([before, i]);
    list.keep(tree.focus);
    if (i > 0) list.reveal(i);
  };
  const follow = paced(showPicked, SCRUB_PACE_MS, signal);
  state.follow(["layers", "layer"], () => {
    const infos = state.get("layers") ?? [];
    if (infos === source) {
      follow();
      return;
    }
    build(infos);
    showPicked();
  });
  state.follow(["flow", "target", "contrast", "example"], () => {
    const { label, doc } = state.get("flow") ?? {};
    carries.title = [label, doc].filter(Boolean).join("\n");
    list.refresh();
  });
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
