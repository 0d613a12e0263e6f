/**
 * What the overlay and the path display: the present map or the walk, the picture under it, and whether they still
 * answer the present choices. Values only, no drawing.
 */
import { type LayerMaps, layerMaps, mapOf } from "../data/layer-maps";
import { blockFrames, blockSums } from "../data/blocks";
import { heat, type Heat, path, type Path, picture, type Picture } from "../data/messages";
import { paintBetween, paintValues } from "../data/painting";
import { decoder, finalValues, locate, valueAt } from "../data/walk-frames";
import { derived } from "../lib/derived";
import { position } from "../lib/format";
import { memo } from "../lib/memo";
import type { LayerRow } from "../state/messages.generated";
import type { View } from "../state/view";
import { blockSide, inNumbers } from "./detail";
import { heatIsStale, isFresh, pathIsStale } from "./freshness";
import { layerWithoutMap, scopeOf } from "./scope";
import { currentTable } from "./table";
import { stageWords } from "./words";

/** A map that can be coloured: the present heat, or the path somewhere on the way. */
export interface Field {
  readonly w: number;
  readonly h: number;
  /** How many values the picture is wide and high: fewer than there are where the last blocks are cut off. */
  readonly extent: { readonly w: number; readonly h: number };
  /** The same without blocks. */
  readonly whole?: Field;
  /** The side of the blocks that values are summed over, in pixels of the input; 1 for none. */
  readonly side: number;
  /** What the values come from, and how far along it: fields that have both in common have the same values. */
  readonly source: object;
  readonly alpha: number;
  /** The values whose size sets the colour scale: the map itself, or the end of the path. */
  readonly reference: Float32Array;
  valueAt(index: number): number;
  paint(limit: number, table: Uint32Array, out: Uint32Array): void;
}

export interface Displayed {
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
  readonly without?: LayerRow | undefined;
}

export const currentPicture = (view: View): Picture | undefined => picture(view.get("picture"));
export const currentBaseline = (view: View): Picture | undefined => picture(view.get("baseline_picture"));
export const currentHeat = (view: View): Heat | undefined => heat(view.get("heat"));
export const currentPath = (view: View): Path | undefined => path(view.get("path"));

/** Where on the path from the baseline (0) to the input (1). */
export const presentAlpha = (view: View): number => Math.min(1, Math.max(0, view.get("alpha")));

/** The maps of all layers, if they answer the present choices: the layer itself is none of them. */
export const currentLayerMaps = derived((view: View): LayerMaps | undefined => {
  const all = layerMaps(view.get("layer_maps"));
  return all && isFresh(view, "layer_maps", all.request) ? all : undefined;
});

/** The map of the picked layer from among those of all layers. */
function layerMap(view: View, image: Picture | undefined): Heat | undefined {
  const layer = view.get("layer");
  if (scopeOf(view) !== "layer" || layer === null) return undefined;
  const all = currentLayerMaps(view);
  return all && mapOf(all, layer, image);
}

const wholeField: (of: Heat) => Field = memo((of) => ({
  w: of.w,
  h: of.h,
  extent: of,
  side: 1,
  source: of,
  alpha: 1,
  reference: of.values,
  valueAt: (index) => of.values[index] ?? NaN,
  paint: (limit, table, out) => paintValues(of.values, limit, table, out),
}));

const bySide: (of: Heat) => Map<number, Field> = memo(() => new Map());

/** A map as it is drawn: summed over blocks where that is wanted, and can be. */
function heatField(of: Heat, side: number): Field {
  const numbers = of.summable ? inNumbers(side, of.pixels) : 1;
  if (numbers === 1) return wholeField(of);
  const known = bySide(of);
  let field = known.get(side);
  if (!field) {
    const blocks = blockSums(of.values, of.w, of.h, numbers, of.pixels);
    const { values } = blocks;
    field = {
      ...blocks,
      whole: wholeField(of),
      side,
      source: blocks,
      alpha: 1,
      reference: values,
      valueAt: (index) => values[index] ?? NaN,
      paint: (limit, table, out) => paintValues(values, limit, table, out),
    };
    known.set(side, field);
  }
  return field;
}

/** The walk summed over blocks: a mix of two frames, as the walk itself. */
function blocksOnTheWay(of: Path, alpha: number, side: number, numbers: number): Field {
  const { frames, ...shape } = blockFrames(of, numbers);
  const { low, share } = locate(of.alphas, alpha);
  const [from, to] = [frames[low]!, frames[low + 1]!];
  const values = from.map((value, i) => value + (to[i]! - value) * share);
  return {
    ...shape,
    whole: pixelsOnTheWay(of, alpha),
    side,
    source: frames,
    alpha,
    reference: frames.at(-1)!,
    valueAt: (index) => values[index] ?? NaN,
    paint: (limit, table, out) => paintValues(values, limit, table, out),
  };
}

function pathField(of: Path, alpha: number, side: number): Field {
  const numbers = inNumbers(side, of.pixels);
  return numbers > 1 ? blocksOnTheWay(of, alpha, side, numbers) : pixelsOnTheWay(of, alpha);
}

function pixelsOnTheWay(of: Path, alpha: number): Field {
  const between = locate(of.alphas, alpha);
  const size = of.w * of.h;
  const low = between.low * size;
  return {
    w: of.w,
    h: of.h,
    extent: of,
    side: 1,
    source: of,
    alpha,
    reference: finalValues(of),
    valueAt: (index) => valueAt(of, between, index),
    paint: (limit, table, out) =>
      paintBetween(of.codes, low, low + size, between.share, decoder(of), limit, table, out),
  };
}

/** What shows a map at the input's end of the path. */
export const ofHeat = (map: Heat, side: number): Pick<Displayed, "kind" | "title" | "field" | "heat"> => ({
  kind: "heat",
  title: map.title || "Attribution",
  field: heatField(map, side),
  heat: map,
});

const NO_MAP = { field: undefined, stale: false, heat: undefined };

/** On the way: the mix of both pictures, with what is attributed so far. */
function onTheWay(view: View, image: Picture | undefined, alpha: number): Displayed {
  const common = { picture: image, from: currentBaseline(view), alpha };
  const way = currentPath(view);
  if (way) {
    return {
      ...common,
      kind: "walk",
      title: `${way.title || "Attribution"}, accumulated to α = ${position(alpha)}`,
      field: pathField(way, alpha, blockSide(view)),
      stale: pathIsStale(view, way),
      heat: undefined,
    };
  }
  const { title } = stageWords(view);
  if (!image && !currentTable(view)) return { ...common, ...NO_MAP, kind: "empty", title };
  return { ...common, ...NO_MAP, kind: "picture", title: `${title} at α = ${position(alpha)}` };
}

/** At the input: the kernel's map, or the picked layer's from among those of all layers, or the picture alone. */
function atInput(view: View, image: Picture | undefined): Displayed {
  const common = { picture: image, from: undefined, alpha: 1 };
  const told = currentHeat(view);
  const fresh = told !== undefined && !heatIsStale(view, told);
  const without = layerWithoutMap(view);
  const there = image ?? currentTable(view);
  const { title } = stageWords(view);
  if (there && without && !fresh) return { ...common, ...NO_MAP, kind: "picture", title, without };
  // The kernel's own map when it is there; a draft of it is no better than what all layers came with.
  const quick = fresh && told.final && !told.preview ? undefined : layerMap(view, image);
  const map = quick && (!fresh || quick.final) ? quick : told;
  if (map) return { ...common, ...ofHeat(map, blockSide(view)), stale: map === told && !fresh };
  return { ...common, ...NO_MAP, kind: there ? "picture" : "empty", title };
}

/** What the overlay shows. */
export const displayed = derived((view: View): Displayed => {
  const image = currentPicture(view);
  const alpha = presentAlpha(view);
  return alpha < 1 ? onTheWay(view, image, alpha) : atInput(view, image);
});
