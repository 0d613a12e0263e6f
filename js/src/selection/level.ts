/** At which level the model is explained: up to its inputs, at a layer, or up to a neuron. */
import { memo } from "../lib/memo";
import { State } from "../state/state";
import type { LayerInfo, MethodInfo } from "../state/traits";

/** At which level the model is explained: up to its inputs, at a layer, or from the inputs up to a neuron. */
export type Level = "input" | "layer" | "neuron";

export function levelOf(state: State): Level {
  if (typeof state.get("layer") !== "string") return "input";
  return (state.get("neuron") ?? null) === null ? "layer" : "neuron";
}

/** The choice that names the method of a level. */
export const METHOD_OF = { input: "method", layer: "layer_method", neuron: "neuron_method" } as const;

const OFFERED = { input: "methods", layer: "layer_methods", neuron: "neuron_methods" } as const;

/** The row of a layer; undefined where none is known. */
export function layerRow(state: State, name: string | null | undefined): LayerInfo | undefined {
  return typeof name === "string" ? rowsByName(state.get("layers") ?? NO_LAYERS).get(name) : undefined;
}

const NO_LAYERS: readonly LayerInfo[] = [];

const rowsByName = memo(
  (rows: readonly LayerInfo[]): ReadonlyMap<string, LayerInfo> => new Map(rows.map((row) => [row.name, row])),
);

/** The picked layer, where it has no map to show and none of its neurons is picked. */
export function withoutMap(state: State): LayerInfo | undefined {
  const row = levelOf(state) === "layer" ? layerRow(state, state.get("layer")) : undefined;
  return row?.spatial === false ? row : undefined;
}

/** The method whose map is on show; a layer without a map shows none, and the input's stays at hand. */
export function methodOnShow(state: State): { level: Level; name: string; info: MethodInfo | undefined } {
  const level = withoutMap(state) ? "input" : levelOf(state);
  const name = state.get(METHOD_OF[level]) ?? "";
  return { level, name, info: state.get(OFFERED[level])?.find((one) => one.name === name) };
}
