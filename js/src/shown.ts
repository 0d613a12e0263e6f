/** Decides what the overlay shows, and whether that still answers the present choices. No drawing here. */
import { position } from "./format";
import { paintBetween, paintValues } from "./paint";
import type { State, TraitName } from "./state";
import type { Request, Target } from "./traits";
import { finalValues, decoder, locate, valueAt } from "./walk";
import { type Heat, type Path, type Picture, heat, path, picture } from "./wire";

/** A map that can be coloured: the present heat, or the path at some place. */
export interface Field {
  readonly w: number;
  readonly h: number;
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
  "method",
  "target",
  "baseline",
  "layer",
];

function targetKey(target: Target): string {
  return target === null ? "" : JSON.stringify(typeof target === "number" ? [target] : target);
}

/** Whether a result asked for with `request` answers the present choices; traits that are not there are no choice. */
export function answers(state: State, request: Request, names: readonly (keyof Request)[]): boolean {
  return names.every((name) => {
    const present = state.get(name);
    const asked = request[name];
    if (present === undefined || asked === undefined) return true;
    if (name !== "target") return present === asked;
    if (present === null) return true; // one output, or not known yet: nothing to contradict
    return targetKey(present as Target) === targetKey(asked as Target);
  });
}

export const heatIsStale = (state: State, of: Heat): boolean =>
  !answers(state, of.request, ["method", "target", "baseline", "layer"]);

export const pathIsStale = (state: State, of: Path): boolean =>
  !answers(state, of.request, ["target", "baseline"]);

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

function heatField(of: Heat): Field {
  return {
    w: of.w,
    h: of.h,
    reference: of.values,
    valueAt: (index) => of.values[index] ?? NaN,
    paint: (limit, table, out) => paintValues(of.values, limit, table, out),
  };
}

function pathField(of: Path, alpha: number): Field {
  const place = locate(of.alphas, alpha);
  const size = of.w * of.h;
  return {
    w: of.w,
    h: of.h,
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

/** What to write beside something stale or unfinished; undefined when all is well. */
export function markOf(state: State, stale: boolean, final = true): string | undefined {
  const status = state.get("status");
  if (stale) return status === "error" || status === "cancelled" ? "out of date" : "updating";
  return !final && status === "running" ? "refining" : undefined;
}
