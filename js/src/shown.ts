/** Decides what the overlay shows, and whether that still answers the present choices. No drawing here. */
import { position } from "./format";
import { paintBetween, paintValues } from "./paint";
import type { State, TraitName } from "./state";
import { type Baseline, CHOICES, type Request, type Settings, type Target } from "./traits";
import { finalValues, decoder, locate, valueAt } from "./walk";
import { type Heat, type Path, type Picture, heat, memo, path, picture } from "./wire";

/** A map that can be coloured: the present heat, or the path at some place. */
export interface Field {
  readonly w: number;
  readonly h: number;
  /** What the values come from, and which place of it: fields that have both in common have the same values. */
  readonly source: object;
  readonly place: number;
  /** The values whose size sets the colour scale: the map itself, or the end of the path. */
  readonly reference: Float32Array;
  valueAt(index: number): number;
  paint(limit: number, table: Uint32Array, out: Uint32Array): void;
}

export interface Shown {
  readonly kind: "empty" | "picture" | "heat" | "walk";
  readonly title: string;
  readonly picture: Picture | undefined;
  /** The other end of the mix, when alpha < 1. */
  readonly from: Picture | undefined;
  readonly alpha: number;
  readonly field: Field | undefined;
  /** The map on show answers other choices than the present ones. */
  readonly stale: boolean;
  readonly heat: Heat | undefined;
}

/** The traits that `shown` reads. */
export const SHOWN_TRAITS: readonly TraitName[] = [
  "picture",
  "baseline_picture",
  "heat",
  "path",
  "alpha",
  ...CHOICES,
];

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

function agrees(state: State, request: Request, name: Answered): boolean {
  const asked = request[name];
  const present = state.get(name);
  if (present === undefined || asked === undefined) return true;
  switch (name) {
    case "target":
      if (present === null) return true; // one output, or not known yet: nothing to contradict
      return targetKey(present as Target) === targetKey(asked as Target);
    case "baseline":
      return baselineKey(present as Baseline) === baselineKey(asked as Baseline);
    case "settings": {
      if (typeof state.get("layer") === "string") return true; // Grad-CAM has no settings
      const own = (present as Settings)[state.get("method") ?? ""];
      return settingsKey(own) === settingsKey(asked as Settings[string]);
    }
    default:
      return present === asked;
  }
}

/** Whether a result asked for with `request` answers the present choices; traits that are not there are no choice. */
export function answers(state: State, request: Request, names: readonly Answered[]): boolean {
  return names.every((name) => agrees(state, request, name));
}

const OF_PATH = ["target", "baseline", "contrast", "example"] as const;

export const heatIsStale = (state: State, of: Heat): boolean => !answers(state, of.request, CHOICES);
export const pathIsStale = (state: State, of: Path): boolean => !answers(state, of.request, OF_PATH);

export const currentPicture = (state: State): Picture | undefined => picture(state.get("picture") ?? NOTHING);
export const currentBaseline = (state: State): Picture | undefined =>
  picture(state.get("baseline_picture") ?? NOTHING);
export const currentHeat = (state: State): Heat | undefined => heat(state.get("heat") ?? NOTHING);
export const currentPath = (state: State): Path | undefined => path(state.get("path") ?? NOTHING);

const NOTHING = {};

export function presentAlpha(state: State): number {
  const alpha = state.get("alpha") ?? 1;
  return Math.min(1, Math.max(0, alpha));
}

const heatField: (of: Heat) => Field = memo((of) => {
  return {
    w: of.w,
    h: of.h,
    source: of,
    place: 1,
    reference: of.values,
    valueAt: (index) => of.values[index] ?? NaN,
    paint: (limit, table, out) => paintValues(of.values, limit, table, out),
  };
});

function pathField(of: Path, alpha: number): Field {
  const place = locate(of.alphas, alpha);
  const size = of.w * of.h;
  return {
    w: of.w,
    h: of.h,
    source: of,
    place: alpha,
    reference: finalValues(of),
    valueAt: (index) => valueAt(of, place, index),
    paint: (limit, table, out) =>
      paintBetween(
        of.codes,
        place.low * size,
        (place.low + 1) * size,
        place.share,
        decoder(of),
        limit,
        table,
        out,
      ),
  };
}

export function decideShown(state: State): Shown {
  const image = currentPicture(state);
  const alpha = presentAlpha(state);
  const walking = alpha < 1;
  const from = walking ? currentBaseline(state) : undefined;
  const common = { picture: image, from, alpha };

  if (walking) {
    const way = currentPath(state);
    if (way) {
      return {
        ...common,
        kind: "walk",
        title: `${way.title || "Attribution"}, accumulated to α = ${position(alpha)}`,
        field: pathField(way, alpha),
        stale: pathIsStale(state, way),
        heat: undefined,
      };
    }
  } else {
    const map = currentHeat(state);
    if (map) {
      return {
        ...common,
        kind: "heat",
        title: map.title || "Attribution",
        field: heatField(map),
        stale: heatIsStale(state, map),
        heat: map,
      };
    }
  }
  const none = { ...common, field: undefined, stale: false, heat: undefined };
  if (!image) return { ...none, kind: "empty", title: "Picture" };
  return { ...none, kind: "picture", title: walking ? `Picture at α = ${position(alpha)}` : "Picture" };
}

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
