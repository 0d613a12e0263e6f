/** How much of the prediction a layer carries: the bars of the tree. */
import { setAttribute, setText, setVariable } from "../lib/dom";
import type { Relevance } from "../selection/relevance";

/** Draws the bar of a row into the element for it, with its words for those who listen. */
export function showRelevance(bar: HTMLElement, relevance: Relevance | undefined): void {
  setVariable(bar, "--as-share", (relevance?.share ?? 0).toFixed(4));
  setAttribute(bar, "data-sign", relevance && relevance.value < 0 ? "-" : undefined);
  setText(bar.firstElementChild!, relevance ? `, ${relevance.words}, ` : "");
}
