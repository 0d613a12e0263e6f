/** What is explained: the output by its inputs, by a layer, or a neuron by its inputs; and with which method. */
import { memo } from "../lib/memo";
import type { LayerRow, MethodInfo } from "../state/messages.generated";
import type { View } from "../state/view";

export type Scope = "input" | "layer" | "neuron";

export function scopeOf(view: View): Scope {
  if (typeof view.get("layer") !== "string") return "input";
  return view.get("neuron") === null ? "layer" : "neuron";
}

/** The choice that names the method of a scope, and the methods it is chosen from. */
const METHOD_OF = { input: "method", layer: "layer_method", neuron: "neuron_method" } as const;
const OFFERED = { input: "methods", layer: "layer_methods", neuron: "neuron_methods" } as const;

export const methodOf = (view: View, scope: Scope): string => view.get(METHOD_OF[scope]);

const rowsByName = memo(
  (rows: readonly LayerRow[]): ReadonlyMap<string, LayerRow> => new Map(rows.map((row) => [row.name, row])),
);

/** What is known of a layer; undefined where it is not in the list. */
export const layerInfo = (view: View, name: string): LayerRow | undefined =>
  rowsByName(view.get("layers")).get(name);

/** The picked layer, where it has no map to show and none of its neurons is picked. */
export function layerWithoutMap(view: View): LayerRow | undefined {
  const layer = view.get("layer");
  const info = scopeOf(view) === "layer" && layer !== null ? layerInfo(view, layer) : undefined;
  return info?.spatial === false ? info : undefined;
}

/** The method whose map is on show; a layer without a map shows none, and the input's stays at hand. */
export function methodOnShow(view: View): { scope: Scope; name: string; info: MethodInfo | undefined } {
  const scope = layerWithoutMap(view) ? "input" : scopeOf(view);
  const name = methodOf(view, scope);
  return { scope, name, info: view.get(OFFERED[scope]).find((one) => one.name === name) };
}
