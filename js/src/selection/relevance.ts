/** How much of the prediction passes at each layer. */
import { derived } from "../lib/derived";
import { signed } from "../lib/format";
import type { View } from "../state/view";
import { isFresh } from "./freshness";

export interface Relevance {
  readonly value: number;
  /** The bar's length, as a share of the longest. */
  readonly share: number;
  readonly words: string;
}

/** The relevance of each layer, aligned with `layers`; undefined where it is not known, or of other choices. */
export const layerRelevance = derived((view: View): readonly (Relevance | undefined)[] => {
  const { request, values = [] } = view.get("layer_relevance");
  if (!isFresh(view, "layer_relevance", request ?? {})) return [];
  const most = values.reduce<number>((most, value) => Math.max(most, Math.abs(value ?? 0)), 0);
  return values.map((value) => {
    if (value === null) return undefined;
    return { value, share: most > 0 ? Math.abs(value) / most : 0, words: `carries ${signed(value)}` };
  });
});

/** The same by name, as far as it is known. */
export const relevanceOf = derived((view: View): ReadonlyMap<string, Relevance> => {
  const found = layerRelevance(view);
  const known = new Map<string, Relevance>();
  view.get("layers").forEach(({ name }, i) => {
    const relevance = found[i];
    if (relevance) known.set(name, relevance);
  });
  return known;
});
