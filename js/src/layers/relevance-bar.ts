/** How much of the prediction each layer carries: the bars of the tree. */
import { setAttribute, setText, setVariable } from "../lib/dom";
import { derived } from "../lib/derived";
import { signed } from "../lib/format";
import { isFresh } from "../selection/freshness";
import type { View } from "../state/view";

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

/** Draws the bar of a row into the element for it, with its words for those who listen. */
export function showRelevance(bar: HTMLElement, relevance: Relevance | undefined): void {
  setVariable(bar, "--as-share", (relevance?.share ?? 0).toFixed(4));
  setAttribute(bar, "data-sign", relevance && relevance.value < 0 ? "-" : undefined);
  setText(bar.firstElementChild!, relevance ? `, ${relevance.words}, ` : "");
}
