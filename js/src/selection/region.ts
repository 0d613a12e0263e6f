/**
 * The picked region of the picture, or columns of a row: its pixels, what the map says it is worth, and what covering it
 * costs.
 */
import type { Heat } from "../data/messages";
import { type Mask, maskOf, segments, type Segments, within } from "../data/region";
import { derived } from "../lib/derived";
import { sameValue } from "../lib/equality";
import type { RawCovered, Region } from "../state/messages.generated";
import type { State } from "../state/state";
import type { View } from "../state/view";
import { currentPicture, displayed } from "./displayed";
import { isFresh } from "./freshness";
import { currentTable } from "./table";

export const currentSegments = (view: View): Segments | undefined => segments(view.get("segments"));

/** The pixels of the region; undefined without one, or while they are not known. */
export const regionMask = derived((view: View): Mask | undefined => {
  const region = view.get("selection");
  const row = currentTable(view);
  if (region && row) return maskOf(region, row.columns.length, 1, undefined);
  const picture = currentPicture(view);
  return region && picture ? maskOf(region, picture.w, picture.h, currentSegments(view)) : undefined;
});

/** The columns of a table that are asked about. */
export const pickedColumns = derived((view: View): ReadonlySet<number> => {
  const mask = currentTable(view) && regionMask(view);
  const picked = new Set<number>();
  mask?.inside.forEach((inside, column) => {
    if (inside) picked.add(column);
  });
  return picked;
});

/** What covering the region costs, once that is known for what is explained now. */
export const currentCovered = derived((view: View): RawCovered | undefined => {
  const raw = view.get("covered");
  const region = view.get("selection");
  const answers =
    region && raw.request && sameValue(raw.region, region) && isFresh(view, "covered", raw.request);
  return answers ? raw : undefined;
});

/** What the map on show says of the region. */
export interface RegionValue {
  /** What it says the region is worth; undefined where its values do not add up to that. */
  readonly worth: number | undefined;
  /** What part of the map's values, by size, lies inside. */
  readonly share: number | undefined;
  /** What part of the picture that is. */
  readonly area: number;
}

/** Whether a map says of pixels what they add to what is explained. */
const saysWorth = ({ tellsWorth, final, preview, sum }: Heat): boolean =>
  tellsWorth && sum !== undefined && final && !preview;

export const regionValue = derived((view: View): RegionValue | undefined => {
  const mask = regionMask(view);
  if (!mask) return undefined;
  const area = mask.count / (mask.w * mask.h);
  const { field, heat, stale } = displayed(view);
  if (!field || stale) return { worth: undefined, share: undefined, area };
  const { sum, share } = within(mask, field.whole ?? field);
  if (heat && saysWorth(heat) && heat.summable && heat.pixels === 1) return { worth: sum, share, area };
  // The kernel knows more: of cells, what part of each value counts; of large pictures, each pixel.
  const told = view.get("covered");
  const same = heat && sameValue(told.region, view.get("selection")) && sameValue(told.map, heat.request);
  return { worth: same ? (told.worth ?? undefined) : undefined, share, area };
});

/** Picks a region, or lets go of it. The page knows its pixels by itself; what covering costs takes the kernel. */
export function pickRegion(state: State, region: Region | null): void {
  state.set("selection", region);
  if (region !== null && state.view.has("tab")) state.set("tab", "where"); // there it is answered
}
