/** One row of the tree of layers: what stands there, and what changes. */
import { outputShape } from "../data/layer-words";
import { clipped, h, setVariable, svg } from "../lib/dom";
import { count } from "../lib/format";
import { isPickable } from "../data/layer-stops";
import type { LayerRow } from "../state/messages.generated";
import type { Relevance } from "../selection/relevance";
import { showRelevance } from "./relevance-bar";

/** The input (no layer) or a module. */
export interface Entry {
  readonly layer: LayerRow | undefined;
  readonly label: string;
  readonly text: string;
  /** How deep the module is nested. */
  readonly level: number;
}

export function entriesOf(layers: readonly LayerRow[]): Entry[] {
  return [
    { layer: undefined, label: "Input", text: "Input", level: 0 },
    ...layers.map((layer) => ({
      layer,
      label: layer.name.slice(layer.name.lastIndexOf(".") + 1) || layer.name || layer.kind,
      text: `${layer.name} ${layer.kind}`,
      level: layer.depth,
    })),
  ];
}

/** Why a module cannot be picked; undefined when it can. */
function whyNot(layer: LayerRow): string | undefined {
  if (isPickable(layer)) return undefined;
  if (layer.why) return layer.why;
  if (layer.shape === null) return "did not run: the model never calls this module";
  return `no Grad-CAM: it needs an output with height and width, this one is ${outputShape(layer)}`;
}

/**
 * The row of an entry. Its accessible name is its text, in which the whole path of the module and the reason why it
 * cannot be picked stand too, at no size: names must not differ from what is seen.
 */
export function makeRow({ layer, label }: Entry, level: number, hasChildren: boolean): HTMLElement {
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
  kind.title = ""; // the row has one tooltip for all of it
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
    h("span", { class: "as-module" }, name, kind),
    h("span", { class: "as-relevance" }, h("span", { class: "as-sizeless" })),
    h("span", { class: "as-number as-shape" }, layer ? outputShape(layer) : ""),
    parameters,
  );
  setVariable(element, "--as-level", level - 1);
  return element;
}

/** How much the row's layer carries, and the tooltip, which says what that means. */
export function updateRow(
  element: HTMLElement,
  { layer, label }: Entry,
  relevance: Relevance | undefined,
  doc: string,
): void {
  showRelevance(element.querySelector<HTMLElement>(".as-relevance")!, relevance);
  const carried = relevance && (doc ? `${relevance.words}: ${doc}` : relevance.words);
  const tooltip = layer
    ? [layer.name || label, layer.kind, whyNot(layer), carried].filter(Boolean).join("\n")
    : "Back to the method at the level of the input";
  if (element.title !== tooltip) element.title = tooltip;
}
