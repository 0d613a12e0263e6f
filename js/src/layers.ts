/** The layers: a searchable tree of the model's modules; picking one shows its Grad-CAM, "Input" the method again. */
import { card, clipped, h, setAttribute, setText, setVariable, svg } from "./dom";
import { count, shape } from "./format";
import { whyOff } from "./kernel";
import { Refusal } from "./refusal";
import type { State } from "./state";
import type { LayerInfo } from "./traits";
import { linkNodes, Tree } from "./tree";

/** Trees up to this many rows are opened a level further at the start. */
const ROWS_AT_START = 44;

/** One row: the input (no layer) or a module. */
interface Entry {
  readonly layer: LayerInfo | undefined;
  readonly label: string;
  readonly text: string;
  readonly depth: number;
}

function entriesOf(layers: readonly LayerInfo[]): Entry[] {
  return [
    { layer: undefined, label: "Input", text: "Input", depth: 0 },
    ...layers.map((layer) => ({
      layer,
      label: layer.name.slice(layer.name.lastIndexOf(".") + 1) || layer.name || layer.kind,
      text: `${layer.name} ${layer.kind}`,
      depth: layer.depth,
    })),
  ];
}

/** Why a module cannot be picked; undefined when it can. */
export function whyNot(layer: LayerInfo): string | undefined {
  if (layer.spatial) return undefined;
  if (layer.shape === null) return "did not run: the model never calls this module";
  return `no Grad-CAM: it needs an output with height and width, this one is ${shape(layer.shape)}`;
}

/** The output without its batch dimension. */
function outputShape(layer: LayerInfo): string {
  if (!layer.shape) return "did not run";
  return shape(layer.shape.length > 1 ? layer.shape.slice(1) : layer.shape);
}

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
  const header = h(
    "div",
    { class: "as-columns", "aria-hidden": "true" },
    h("span", {}, "Module"),
    h("span", { class: "as-number" }, "Output"),
    h("span", { class: "as-number" }, "Parameters"),
  );
  const box = h("div", { class: "as-tree", role: "tree", "aria-label": "Layers" });
  const nothing = h("div", { class: "as-nothing", hidden: true });
  const refusal = new Refusal(state, "layer", [box]);
  frame.element.append(header, box, nothing, refusal.element);
  el.append(frame.element);

  let source: readonly LayerInfo[] | undefined;
  let entries: Entry[] = [];
  let tree = new Tree([]);
  let rows: HTMLElement[] = [];

  const build = (infos: readonly LayerInfo[]): void => {
    source = infos;
    entries = entriesOf(infos);
    tree = new Tree(linkNodes(entries));
    rows = entries.map((entry, i) => row(entry, tree.nodes[i]!.level, tree.nodes[i]!.children.length > 0));
    openAtStart(tree);
    tree.search(search.value);
    const picked = pickedIndex();
    if (picked > 0) tree.reveal(picked);
    tree.focus = Math.max(0, picked);
  };
  const pickedIndex = (): number => {
    const picked = state.get("layer") ?? null;
    return entries.findIndex(({ layer }) => (layer ? layer.name === picked : picked === null));
  };

  const render = (): void => {
    const visible = tree.visible();
    const held = box.contains(focused(box));
    if (visible.length && !visible.includes(tree.focus)) {
      let up = tree.focus;
      while (up >= 0 && !visible.includes(up)) up = tree.nodes[up]?.parent ?? -1;
      tree.focus = up >= 0 ? up : visible[0]!;
    }
    const picked = pickedIndex();
    for (const i of visible) update(i, picked);
    box.replaceChildren(...visible.map((i) => rows[i]!));
    setAttribute(box, "data-long", visible.length > 300 ? "1" : undefined);
    setAttribute(box, "data-empty", source?.length ? undefined : "1");
    nothing.hidden = visible.length > 0;
    setText(nothing, visible.length ? "" : `No layer matches “${search.value.trim()}”`);
    if (held) rows[tree.focus]?.focus({ preventScroll: true });
  };

  const update = (i: number, picked: number): void => {
    const node = tree.nodes[i]!;
    const element = rows[i]!;
    const siblings = node.parent >= 0 ? tree.nodes[node.parent]!.children : undefined;
    setAttribute(element, "aria-selected", String(i === picked));
    setAttribute(element, "aria-expanded", node.children.length ? String(tree.isExpanded(i)) : undefined);
    setAttribute(element, "tabindex", i === tree.focus ? "0" : "-1");
    setAttribute(element, "data-found", tree.found(i) ? "1" : undefined);
    setAttribute(element, "data-kept", tree.matches(i) ? undefined : "1");
    if (siblings) {
      setAttribute(element, "aria-setsize", String(siblings.length));
      setAttribute(element, "aria-posinset", String(siblings.indexOf(i) + 1));
    }
  };

  const moveTo = (i: number): void => {
    const before = rows[tree.focus];
    if (before) setAttribute(before, "tabindex", "-1");
    tree.focus = i;
    const element = rows[i];
    if (!element) return;
    setAttribute(element, "tabindex", "0");
    element.focus({ preventScroll: true });
    scrollInto(box, element);
  };
  const toggle = (i: number): void => {
    tree.setExpanded(i, !tree.isExpanded(i));
    render();
  };
  const pick = (i: number): void => {
    const { layer } = entries[i]!;
    if (layer && !layer.spatial) {
      if (tree.nodes[i]!.children.length) toggle(i);
      return;
    }
    if (!state.reachable) return;
    refusal.clear();
    state.choose("layer", layer ? layer.name : null);
    state.set("alpha", 1); // the map of a layer stands at the end of the path
  };

  box.addEventListener(
    "click",
    (event) => {
      const target = event.target as Element;
      const i = rows.findIndex((element) => element.contains(target));
      if (i < 0) return;
      moveTo(i);
      if (target.closest(".as-twisty") && tree.nodes[i]!.children.length) toggle(i);
      else pick(i);
    },
    { signal },
  );
  box.addEventListener(
    "keydown",
    (event) => {
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
  search.addEventListener(
    "input",
    () => {
      tree.search(search.value);
      render();
      const first = tree.visible().find((i) => search.value.trim() !== "" && tree.matches(i));
      if (first !== undefined) scrollInto(box, rows[first]!);
    },
    { signal },
  );
  search.addEventListener(
    "keydown",
    (event) => {
      if (event.key !== "ArrowDown" && event.key !== "Enter") return;
      const first = tree.visible().find((i) => tree.matches(i));
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
  let picked: string | null | undefined;
  state.follow(["layers", "layer"], () => {
    const infos = state.get("layers") ?? [];
    if (infos !== source) build(infos);
    const layer = state.get("layer");
    if (layer !== picked) {
      picked = layer;
      const i = pickedIndex();
      if (i >= 0) {
        tree.reveal(i);
        if (!box.contains(focused(box))) tree.focus = i;
      }
      render();
      if (i > 0) scrollInto(box, rows[i]!);
    } else {
      render();
    }
  });
}

/** Opens the model, and then level by level as long as the tree stays small. */
function openAtStart(tree: Tree): void {
  let rows = tree.nodes.filter(({ level }) => level === 1).length;
  for (let level = 1; ; level++) {
    const parents = [...tree.nodes.keys()].filter(
      (i) => tree.nodes[i]!.level === level && tree.nodes[i]!.children.length > 0,
    );
    rows += parents.reduce((sum, i) => sum + tree.nodes[i]!.children.length, 0);
    if (!parents.length || (level > 1 && rows > ROWS_AT_START)) return;
    for (const i of parents) tree.setExpanded(i, true);
  }
}

function focused(element: HTMLElement): Element | null {
  return (element.getRootNode() as Document | ShadowRoot).activeElement;
}

/** Scrolls the box, and only the box, until the row is inside. */
function scrollInto(box: HTMLElement, element: HTMLElement): void {
  const outer = box.getBoundingClientRect();
  const inner = element.getBoundingClientRect();
  if (inner.top < outer.top) box.scrollTop -= outer.top - inner.top;
  else if (inner.bottom > outer.bottom) box.scrollTop += inner.bottom - outer.bottom;
}

/**
 * The row of an entry. Its accessible name is its text, in which the whole path of the module and the reason why it
 * cannot be picked stand too, at no size: names must not differ from what is seen.
 */
function row({ layer, label }: Entry, level: number, hasChildren: boolean): HTMLElement {
  const why = layer && whyNot(layer);
  const twisty = h("span", { class: "as-twisty", "aria-hidden": "true" });
  if (hasChildren) twisty.append(svg("svg", { viewBox: "0 0 12 12" }, svg("path", { d: "m4 2 4.5 4L4 10" })));
  const name = h("span", { class: "as-clip as-name", dir: "auto" });
  if (layer && layer.name.length > label.length && layer.name.endsWith(label)) {
    name.append(h("span", { class: "as-sizeless" }, layer.name.slice(0, -label.length)));
  }
  name.append(label);
  if (layer) name.append(h("span", { class: "as-sizeless" }, ",")); // a pause for those who listen
  const parameters = h(
    "span",
    { class: "as-number as-count" },
    layer?.parameters ? count(layer.parameters) : "",
  );
  if (why) parameters.append(h("span", { class: "as-sizeless" }, `, ${why}`));
  const kind = clipped("as-kind", layer ? (layer.name === "" ? "the model" : layer.kind) : "");
  const element = h(
    "div",
    {
      class: "as-row",
      role: "treeitem",
      "aria-level": level,
      "aria-disabled": why ? "true" : undefined,
      "data-name": layer?.name,
    },
    twisty,
    name,
    kind,
    h("span", { class: "as-number as-shape" }, layer ? outputShape(layer) : ""),
    parameters,
  );
  kind.title = ""; // the row has one tooltip for all of it
  element.title = layer
    ? [layer.name || label, layer.kind, why].filter(Boolean).join("\n")
    : "Back to the method at the level of the input";
  setVariable(element, "--as-level", level - 1);
  return element;
}
