/** The predicted classes with what is predicted for each: as the model is, with neurons switched off, or on the walk. */
import type { WhatIf } from "../data/channels";
import { singleIndex } from "../data/messages";
import { at, locate } from "../data/walk-frames";
import { derived } from "../lib/derived";
import type { RawPredictions } from "../state/messages.generated";
import type { View } from "../state/view";
import { currentWhatIf } from "./channels";
import { currentPath, presentAlpha } from "./displayed";
import { agreesOn } from "./freshness";

/** A class, with what is predicted for it: a probability, or a score. */
export interface Prediction {
  readonly index: number;
  readonly label: string;
  readonly score: number;
  readonly amount: number;
  /** With some neurons switched off: what it was before. */
  readonly before?: number;
  /** It came among the best only by the change. */
  readonly isNew?: boolean;
}

export interface Predictions {
  readonly items: readonly Prediction[];
  /** The amounts are scores, which may lie on both sides of zero, and no probabilities. */
  readonly isScore: boolean;
  /** Where bars begin and end. */
  readonly low: number;
  readonly high: number;
  /** Half way along the walk: the probability of each class that the path knows. */
  readonly onTheWay: ReadonlyMap<number, number> | undefined;
  /** With some neurons switched off. */
  readonly changed: boolean;
  /** What some of them switched off change is not known yet. */
  readonly awaited: boolean;
}

/** The probability of each class on the way; undefined at the input, or when the path does not know it. */
function probabilitiesOnTheWay(view: View): Map<number, number> | undefined {
  const alpha = presentAlpha(view);
  const way = alpha < 1 ? currentPath(view) : undefined;
  if (!way?.probabilities.length || !agreesOn(view, "baseline", way.request)) return undefined;
  const between = locate(way.alphas, alpha);
  return new Map(
    way.classes.map(({ index }, i) => [index, at(way.probabilities[i] ?? [], between)] as const),
  );
}

function intactItems({ items = [], kind }: RawPredictions): Prediction[] {
  return items.map(({ index, label, score, probability }) => {
    return { index, label, score: score ?? NaN, amount: (kind === "score" ? score : probability) ?? NaN };
  });
}

function changedItems(answer: WhatIf, intact: RawPredictions): Prediction[] {
  const known = new Set((intact.items ?? []).map(({ index }) => index));
  return answer.items.map(({ index, label, before, after, afterScore: score }) => {
    return { index, label, score, amount: after, before, isNew: !known.has(index) };
  });
}

/** Whether the walk shows the model as it is: then what is switched off waits at its end. */
const isOnTheWay = derived(
  (view: View): boolean =>
    view.get("predictions").kind !== "score" && probabilitiesOnTheWay(view) !== undefined,
);

const changedBy = derived((view: View): WhatIf | undefined => {
  const answer = isOnTheWay(view) ? undefined : currentWhatIf(view);
  return answer?.items.length ? answer : undefined;
});

/** The same list for as long as the classes and what is predicted for them at the input are the same. */
const itemsOf = derived((view: View): readonly Prediction[] => {
  const raw = view.get("predictions");
  const changed = changedBy(view);
  return changed ? changedItems(changed, raw) : intactItems(raw);
});

export const predictions = derived((view: View): Predictions => {
  const items = itemsOf(view);
  const isScore = view.get("predictions").kind === "score";
  const onTheWay = isOnTheWay(view) ? probabilitiesOnTheWay(view) : undefined;
  const sizes = items.flatMap(({ amount, before = 0 }) => [amount, before]).filter(Number.isFinite);
  return {
    items,
    isScore,
    low: isScore ? Math.min(0, ...sizes) : 0,
    high: isScore ? Math.max(0, ...sizes) : 1, // probabilities are shares of the whole track
    onTheWay,
    changed: changedBy(view) !== undefined,
    awaited: !onTheWay && view.get("ablated").length > 0 && !currentWhatIf(view),
  };
});

/** The class that the example on show is of; undefined where that is not known. */
export function trueClass(view: View): number | undefined {
  if (!view.has("example_predictions")) return undefined;
  return view.get("example_predictions")[view.get("example")]?.truth_index;
}

/** Whether the explained class can be compared with this one. */
export function canCompare(view: View, index: number): boolean {
  const target = singleIndex(view.get("target"));
  if (view.get("predictions").output === "boxes") return false; // each has a score of its own
  return view.has("contrast") && view.reachable && target !== undefined && target !== index;
}
