/** Where the explanation is seen: at the input, at a layer, or at a neuron of it. */
import { neuronName } from "../data/neurons";
import { derived } from "../lib/derived";
import type { MenuItem } from "../lib/menu";
import type { View } from "../state/view";
import { isPickable } from "../data/layer-stops";
import { mappedLayers } from "./layer";
import { nounOf } from "./neuron";
import { layerInfo } from "./scope";
import { stageWords } from "./words";

/** The value that stands for the input: no layer has this path. */
export const PIXELS = "\n";

/** The input and all layers that can be picked, in their order. */
export const placeItems = derived((view: View): readonly MenuItem[] => [
  { value: PIXELS, label: stageWords(view).parts },
  ...view
    .get("layers")
    .filter(isPickable)
    .map(({ name, kind }) => ({
      value: name,
      label: name || "the model",
      note: kind,
    })),
]);

/** What is picked: a layer's path, with its neuron if there is one. */
export function placeLabel(view: View): string {
  const layer = view.get("layer");
  if (layer === null) return stageWords(view).parts;
  const neuron = view.get("neuron");
  return neuron === null ? layer || "the model" : `${layer}, ${neuronName(neuron, nounOf(view, layer))}`;
}

/** The layer that class activation maps are usually seen at: the last one that has a map. */
export function lastMapped(view: View): string | undefined {
  return [...mappedLayers(view)].reverse().find((name) => layerInfo(view, name)?.layout !== "vector");
}
