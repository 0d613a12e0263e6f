/** Decides what the overlay shows, and whether that still answers the present choices. No drawing here. */
import { type Depth, depth, mapOf } from "./depth";
import { position } from "./format";
import { paintBetween, paintValues } from "./paint";
import type { State, TraitName } from "./state";
import {
  type Baseline,
  CHOICES,
  type LayerInfo,
  type MethodInfo,
  type Neuron,
  type Request,
  type Settings,
  type Target,
} from "./traits";
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

/** A neuron's place as one list, however it was written. */
const neuronKey = (neuron: Neuron | null): string => JSON.stringify([neuron].flat());

/** At which level the model is explained: up to its inputs, at a layer, or from the inputs up to a neuron. */
export type Level = "input" | "layer" | "neuron";

export function levelOf(state: State): Level {
  if (typeof state.get("layer") !== "string") return "input";
  return (state.get("neuron") ?? null) === null ? "layer" : "neuron";
}

/** The choice that names the method of a level. */
const METHOD_OF = { input: "method", layer: "layer_method", neuron: "neuron_method" } as const;
const OFFERED = { input: "methods", layer: "layer_methods", neuron: "neuron_methods" } as const;

/** The row of a layer; undefined where none is known. */
export function layerRow(state: State, name: string | null | undefined): LayerInfo | undefined {
  return typeof name === "string" ? rowsByName(state.get("layers") ?? NO_LAYERS).get(name) : undefined;
}

const NO_LAYERS: readonly LayerInfo[] = [];
const rowsByName = memo(
  (rows: readonly LayerInfo[]): ReadonlyMap<string, LayerInfo> => new Map(rows.map((row) => [row.name, row])),
);

/** The picked layer, where it has no map to show and none of its neurons is picked. */
function withoutMap(state: State): LayerInfo | undefined {
  const row = levelOf(state) === "layer" ? layerRow(state, state.get("layer")) : undefined;
  return row?.spatial === false ? row : undefined;
}

/** The method whose map is on show; a layer without a map shows none, and the input's stays at hand. */
export function methodOnShow(state: State): { level: Level; name: string; info: MethodInfo | undefined } {
  const level = withoutMap(state) ? "input" : levelOf(state);
  const name = state.get(METHOD_OF[level]) ?? "";
  return { level, name, info: state.get(OFFERED[level])?.find((one) => one.name === name) };
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

const OF_DEPTH = ["target", "contrast", "example", "layer_method", "baseline", "settings"] as const;

export const heatIsStale = (state: State, of: Heat): boolean => !answers(state, of.request, CHOICES);
export const pathIsStale = (state: State, of: Path): boolean => !answers(state, of.request, OF_PATH);

export const currentPicture = (state: State): Picture | undefined => picture(state.get("picture") ?? NOTHING);
export const currentBaseline = (state: State): Picture | undefined =>
  picture(state.get("baseline_picture") ?? NOTHING);
export const currentHeat = (state: State): Heat | undefined => heat(state.get("heat") ?? NOTHING);
export const currentPath = (state: State): Path | undefined => path(state.get("path") ?? NOTHING);

const NOTHING = {};

/** The maps of all layers, if they answer the present choices: the layer itself is none of them. */
export function currentDepth(state: State): Depth | undefined {
  const all = depth(state.get("depth") ?? NOTHING);
  return all && answers(state, all.request, OF_DEPTH, "layer") ? all : undefined;
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
