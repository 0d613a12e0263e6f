/**
 * Whether what the kernel has told answers the present choices. Every result carries the request that it answers; which
 * traits of it matter says the table of traits, and how they are compared is said here, for all results alike.
 */
import type { Heat, Path } from "../data/messages";
import { neuronKey } from "../data/neurons";
import type {
  Ablated,
  Baseline,
  Edited,
  Neuron,
  RawChecks,
  RawComparison,
  RawRows,
  Request,
  Settings,
  Target,
} from "../state/messages.generated";
import { ANSWERS, type REQUESTED } from "../state/traits.generated";
import type { View } from "../state/view";
import { methodOf, type Scope, scopeOf } from "./scope";

type Requested = (typeof REQUESTED)[number];
export type Result = keyof typeof ANSWERS;

/** Results that are of another scope than the map on show: a region is one of the output, or of a neuron. */
const SCOPE_OF: Partial<Record<Result, (view: View) => Scope>> = {
  rows: () => "input",
  layer_maps: () => "layer",
  covered: (view) => (scopeOf(view) === "neuron" ? "neuron" : "input"),
};

function targetKey(target: Target): string {
  return target === null ? "" : JSON.stringify(typeof target === "number" ? [target] : target);
}

/** The names of the baselines in an order of their own: an average does not ask for the order. */
function baselineKey(baseline: Baseline): string {
  return typeof baseline === "string" ? baseline : JSON.stringify([...baseline].sort());
}

/** Settings with their names in order. */
function settingsKey(settings: Settings[string] | undefined): string {
  return JSON.stringify(Object.entries(settings ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** What is switched off, in an order of its own: the order makes no difference to the model. */
function ablatedKey(ablated: readonly Ablated[]): string {
  return JSON.stringify(ablated.map(([layer, neuron]) => [layer, neuronKey(neuron)].join("\n")).sort());
}

/** The cells that were given other values, in the order of their columns. */
function editedKey(edited: readonly Edited[]): string {
  return JSON.stringify([...edited].sort(([a], [b]) => a - b));
}

function settingsFor(settings: Settings, method: string): Settings[string] | undefined {
  return Object.hasOwn(settings, method) ? settings[method] : undefined;
}

/** Whether a result agrees with one of the choices, among those that matter in a scope (asked for where it matters). */
function agrees(view: View, request: Request, name: Requested, scope: () => Scope): boolean {
  const asked = request[name];
  if (asked === undefined || !view.has(name)) return true; // a trait that is not there is no choice
  const present = view.get(name);
  switch (name) {
    case "target":
      // Null: one output, or not known yet. There is nothing to contradict.
      return present === null || targetKey(present as Target) === targetKey(asked as Target);
    case "baseline":
      // A method that compares with none says so.
      return asked === null || baselineKey(present as Baseline) === baselineKey(asked as Baseline);
    case "method":
      return scope() !== "input" || present === asked;
    case "layer_method":
      return scope() !== "layer" || present === asked;
    case "neuron_method":
      return scope() !== "neuron" || present === asked;
    case "layer":
      return (scope() === "input" ? null : present) === asked;
    case "neuron":
      return scope() === "input" || neuronKey(present as Neuron | null) === neuronKey(asked as Neuron | null);
    case "settings": {
      const own = settingsFor(present as Settings, methodOf(view, scope()));
      return settingsKey(own) === settingsKey(asked as Settings[string]);
    }
    case "ablated":
      return ablatedKey(present as readonly Ablated[]) === ablatedKey(asked as readonly Ablated[]);
    case "edited":
      return editedKey(present as readonly Edited[]) === editedKey(asked as readonly Edited[]);
    default:
      return present === asked;
  }
}

/** Whether a result that was asked for with `request` answers the present choices. */
export function isFresh(view: View, result: Result, request: Request): boolean {
  const scope = (): Scope => (SCOPE_OF[result] ?? scopeOf)(view);
  return ANSWERS[result].every((name) => agrees(view, request, name, scope));
}

/** Whether a result is of the present choice of one trait, whatever else has changed. */
export const agreesOn = (view: View, name: Requested, request: Request): boolean =>
  agrees(view, request, name, () => scopeOf(view));

export const heatIsStale = (view: View, { request }: Heat): boolean => !isFresh(view, "heat", request);
export const pathIsStale = (view: View, { request }: Path): boolean => !isFresh(view, "path", request);

/** Whether a map is of the input, and of no layer. */
export const isOfInput = ({ request }: Heat): boolean => request.layer === null;

/** Whether the table is of other choices than the present ones, or of other weights. */
export function comparisonIsStale(view: View, raw: RawComparison): boolean {
  if (raw.outdated || !isFresh(view, "comparison", raw.request ?? {})) return true;
  const now = view.get("settings");
  const then = raw.settings ?? {};
  return Object.keys(then).some((name) => settingsKey(then[name]) !== settingsKey(settingsFor(now, name)));
}

/** What to write beside something long that is not what it should be, or not whole; undefined when all is well. */
function workMark(view: View, stale: boolean, final: boolean | undefined, doing: string): string | undefined {
  if (stale) return "out of date";
  if (final !== false) return undefined;
  return isComputing(view) ? doing : "unfinished";
}

export const comparisonMark = (view: View, raw: RawComparison): string | undefined =>
  workMark(view, comparisonIsStale(view, raw), raw.final, "comparing");

/** Whether the checks are of another map than the one that was asked for, or of other weights. */
export function checksAreStale(view: View, raw: RawChecks): boolean {
  const request = raw.request ?? {};
  return raw.outdated === true || !isFresh(view, "checks", request) || request.effort !== view.get("effort");
}

export const checksMark = (view: View, raw: RawChecks): string | undefined =>
  workMark(view, checksAreStale(view, raw), raw.final, "checking");

/** Whether all rows were explained for other choices than the present ones, or with other weights. */
export const rowsAreStale = (view: View, { outdated, request = {} }: RawRows): boolean =>
  outdated === true || !isFresh(view, "rows", request);

export const rowsMark = (view: View, raw: RawRows): string | undefined =>
  workMark(view, rowsAreStale(view, raw), raw.final, "explaining");

/** Why nothing more can be asked for now; undefined when it can. */
export const whyWait = (view: View): string | undefined =>
  view.get("status") === "running" ? "Wait for the present computation, or cancel it" : undefined;

/** Whether something is computed, as far as one can know. */
export const isComputing = (view: View): boolean => view.get("status") === "running" && view.reachable;

/** What to write beside something stale, preliminary or unfinished; undefined when all is well. */
export function markOf(view: View, stale: boolean, heat?: Heat): string | undefined {
  const status = view.get("status");
  if (stale) {
    return status === "error" || status === "cancelled" || !view.reachable ? "out of date" : "updating";
  }
  if (heat?.preview) return isComputing(view) ? "preview" : "only a preview";
  if (heat?.final !== false) return undefined;
  return isComputing(view) ? "refining" : "unfinished";
}
