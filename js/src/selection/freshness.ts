/** Whether what the kernel has told answers the present choices. */
import type { Heat, Path } from "../data/messages";
import { neuronKey } from "../data/neurons";
import { State } from "../state/state";
import {
  type Baseline,
  CHOICES,
  type Neuron,
  type Request,
  type Settings,
  type Target,
} from "../state/traits";
import { type Level, levelOf, METHOD_OF } from "./level";

function targetKey(target: Target): string {
  return target === null ? "" : JSON.stringify(typeof target === "number" ? [target] : target);
}

/** The names of the baselines in an order of their own: an average does not ask for the order. */
export function baselineKey(baseline: Baseline): string {
  return typeof baseline === "string" ? baseline : JSON.stringify([...baseline].sort());
}

/** Settings with their names in order. */
export function settingsKey(settings: Settings[string] | undefined): string {
  return JSON.stringify(Object.entries(settings ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)));
}

type Answered = (typeof CHOICES)[number];

/** Whether a result agrees with one of the choices, among those that matter at a level. */
function agrees(state: State, request: Request, name: Answered, level: Level): boolean {
  const asked = request[name];
  const present = state.get(name);
  if (present === undefined || asked === undefined) return true;
  switch (name) {
    case "target":
      if (present === null) return true; // one output, or not known yet: nothing to contradict
      return targetKey(present as Target) === targetKey(asked as Target);
    case "baseline":
      // A method that compares with none says so.
      return asked === null || baselineKey(present as Baseline) === baselineKey(asked as Baseline);
    case "method":
      return level !== "input" || present === asked;
    case "layer_method":
      return level !== "layer" || present === asked;
    case "neuron_method":
      return level !== "neuron" || present === asked;
    case "neuron":
      return level === "input" || neuronKey(present as Neuron | null) === neuronKey(asked as Neuron | null);
    case "settings": {
      const own = (present as Settings)[state.get(METHOD_OF[level]) ?? ""];
      return settingsKey(own) === settingsKey(asked as Settings[string]);
    }
    default:
      return present === asked;
  }
}

/**
 * Whether a result asked for with `request` answers the present choices; traits that are not there are no choice.
 * `level` is the one that the result is of, where that is not the one on show.
 */
export function answers(
  state: State,
  request: Request,
  names: readonly Answered[],
  level: Level = levelOf(state),
): boolean {
  return names.every((name) => agrees(state, request, name, level));
}

const OF_PATH = ["target", "baseline", "contrast", "example"] as const;

export const OF_LAYER_MAPS = [
  "target",
  "contrast",
  "example",
  "layer_method",
  "baseline",
  "settings",
] as const;

export const heatIsStale = (state: State, of: Heat): boolean => !answers(state, of.request, CHOICES);

export const pathIsStale = (state: State, of: Path): boolean => !answers(state, of.request, OF_PATH);

/** What to write beside something stale, preliminary or unfinished; undefined when all is well. */
export function markOf(state: State, stale: boolean, heat?: Heat): string | undefined {
  const status = state.get("status");
  if (stale) {
    return status === "error" || status === "cancelled" || !state.reachable ? "out of date" : "updating";
  }
  if (heat?.preview) return "preview";
  if (heat?.final !== false) return undefined;
  return status === "running" && state.reachable ? "refining" : "unfinished";
}
