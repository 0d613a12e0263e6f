/** Decides what the overlay shows, and whether that still answers the present choices. No drawing here. */
import { type Depth, depth, mapOf } from "../data/layer-maps";
import { type Heat, heat, type Path, path, type Picture, picture } from "../data/messages";
import { paintBetween, paintValues } from "../data/painting";
import { decoder, finalValues, locate, valueAt } from "../data/walk-frames";
import { position } from "../lib/format";
import { memo } from "../lib/memo";
import type { State, TraitName } from "../state/state";
import { CHOICES, type LayerInfo } from "../state/traits";
import { answers, heatIsStale, OF_LAYER_MAPS, pathIsStale } from "./freshness";
import { levelOf, withoutMap } from "./level";

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
  /** The picked layer, where its output is no map. */
  readonly without?: LayerInfo | undefined;
}

/** The traits that `shown` reads. */
export const SHOWN_TRAITS: readonly TraitName[] = [
  "picture",
  "baseline_picture",
  "heat",
  "path",
  "alpha",
  "depth",
  "layers",
  ...CHOICES,
];

export const currentPicture = (state: State): Picture | undefined => picture(state.get("picture") ?? NOTHING);
export const currentBaseline = (state: State): Picture | undefined =>
  picture(state.get("baseline_picture") ?? NOTHING);
export const currentHeat = (state: State): Heat | undefined => heat(state.get("heat") ?? NOTHING);
export const currentPath = (state: State): Path | undefined => path(state.get("path") ?? NOTHING);

const NOTHING = {};

/** The maps of all layers, if they answer the present choices: the layer itself is none of them. */
export function currentDepth(state: State): Depth | undefined {
  const all = depth(state.get("depth") ?? NOTHING);
  return all && answers(state, all.request, OF_LAYER_MAPS, "layer") ? all : undefined;
}

/** The map of the picked layer from among those of all layers. */
function depthMap(state: State, image: Picture | undefined): Heat | undefined {
  const all = levelOf(state) === "layer" ? currentDepth(state) : undefined;
  return all && mapOf(all, state.get("layer") ?? "", image);
}

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

/** What shows a map at the input's end of the path. */
function heatView(map: Heat): Pick<Shown, "kind" | "title" | "field" | "heat"> {
  return { kind: "heat", title: map.title || "Attribution", field: heatField(map), heat: map };
}

/** The view that was kept to be looked at beside the present one. */
export function pinnedShown(state: State): Shown | undefined {
  const { heat: map, picture: under, title } = state.get("pinned") ?? {};
  const image = picture(under ?? NOTHING);
  const kept = heat(map ?? NOTHING);
  if (!kept) return undefined;
  const seen = heatView(kept);
  return { ...seen, title: title ?? seen.title, picture: image, from: undefined, alpha: 1, stale: false };
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
    const told = currentHeat(state);
    const fresh = told !== undefined && !heatIsStale(state, told);
    const without = withoutMap(state);
    if (image && without && !fresh) {
      return {
        ...common,
        kind: "picture",
        title: "Picture",
        field: undefined,
        stale: false,
        heat: undefined,
        without,
      };
    }
    // The kernel's own map when it is there; a draft of it is no better than what all layers came with.
    const quick = fresh && told.final && !told.preview ? undefined : depthMap(state, image);
    const map = quick && (!fresh || quick.final) ? quick : told;
    if (map) return { ...common, ...heatView(map), stale: map === told && !fresh };
  }
  const none = { ...common, field: undefined, stale: false, heat: undefined };
  if (!image) return { ...none, kind: "empty", title: "Picture" };
  return { ...none, kind: "picture", title: walking ? `Picture at α = ${position(alpha)}` : "Picture" };
}
