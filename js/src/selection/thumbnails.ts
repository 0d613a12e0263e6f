/** Small pictures for the menus: what a baseline, a layer or a method looks like, as far as that is known. */
import { smallMap } from "../data/small-map";
import { picture } from "../data/messages";
import { paintValues } from "../data/painting";
import { scaleOf } from "../data/statistics";
import { PixelBuffer, type RgbImage } from "../lib/canvas";
import { derived } from "../lib/derived";
import type { RawSmallMap } from "../state/messages.generated";
import type { View } from "../state/view";
import { comparisonIsStale } from "./freshness";
import { CHANNEL_TABLES } from "./channel-colours";
import { type SmallMap, smallLayerMap } from "./river";
import { style } from "./style";
import { currentTable } from "./table";

export function baselineThumbnail(view: View, name: string): RgbImage | undefined {
  const raw = view.get("baseline_pictures")[name];
  return raw && picture(raw)?.image;
}

function painted({
  heat,
  limit,
  table,
}: Pick<SmallMap, "limit" | "table"> & { heat: Values }): HTMLCanvasElement {
  const pixels = new PixelBuffer();
  pixels.paint(heat.w, heat.h, (out) => paintValues(heat.values, limit, table, out));
  return pixels.canvas;
}

interface Values {
  readonly w: number;
  readonly h: number;
  readonly values: Float32Array;
}

/** The map of a layer, from those of all layers. */
export function layerThumbnail(view: View, name: string): HTMLCanvasElement | undefined {
  const map = smallLayerMap(view, name);
  return map && painted(map);
}

/** The maps of the methods that were compared, by name, while they are those of the present choices. */
const comparedMaps = derived((view: View): ReadonlyMap<string, RawSmallMap> => {
  const raw = view.get("comparison");
  if (!raw.methods || comparisonIsStale(view, raw)) return new Map();
  return new Map(raw.methods.flatMap(({ name, map }) => (map ? [[name, map] as const] : [])));
});

/** The map of a method, where it was compared with others. */
export function methodThumbnail(view: View, name: string): HTMLCanvasElement | undefined {
  if (currentTable(view)) return undefined; // a line of pixels shows nothing
  const raw = comparedMaps(view).get(name);
  const heat = raw && smallMap(raw);
  if (!heat) return undefined;
  const { sign, outlierPercent } = style(view);
  const { limit } = scaleOf(heat.values, sign, outlierPercent);
  return painted({ heat, limit, table: CHANNEL_TABLES[sign](view) });
}
