/** Choices of baselines, and what to call them. */
import { State } from "../state/state";
import type { Baseline } from "../state/traits";

/** The names in a choice of baselines. */
export function namesOf(baseline: Baseline | undefined): readonly string[] {
  if (baseline === undefined) return [];
  return typeof baseline === "string" ? [baseline] : baseline;
}

/** One name alone, or the list; undefined for none, which is no choice. */
export function choiceOf(names: readonly string[]): Baseline | undefined {
  return names.length > 1 ? names : names[0];
}

/** What to call a choice of baselines. */
export function baselineLabel(state: State): string {
  const names = namesOf(state.get("baseline"));
  if (names.length > 1) return `Average of ${names.length}`;
  const name = names[0] ?? "";
  return state.get("baselines")?.find((one) => one.name === name)?.label ?? name;
}
