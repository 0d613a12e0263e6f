/** The model as a river, from the input on: how wide it is at each layer, how much passes there, and which maps lie on it. */
import { type LayerMaps, mapOf } from "../data/layer-maps";
import { type Stop, type Stretch, stretchesOf } from "../data/layer-stops";
import type { Heat } from "../data/messages";
import { scaleOf } from "../data/statistics";
import { derived } from "../lib/derived";
import { signed } from "../lib/format";
import type { View } from "../state/view";
import { CHANNEL_TABLES } from "./channel-colours";
import { currentLayerMaps } from "./displayed";
import { layerNumber, layerStops } from "./layer";
import { nounOf } from "./neuron";
import { relevanceOf } from "./relevance";
import { style } from "./style";

/** More maps than this beside each other are too small to see anything in. */
const MOST_MAPS = 12;

/** What the river is drawn from at one layer. */
export interface Reach {
  /** From 0 to 1: the logarithm of how many channels there are, against the most. */
  readonly width: number;
  /** How much passes, against the most; undefined where that is not known. */
  readonly share: number | undefined;
  readonly against: boolean;
}

export const riverStretches = derived((view: View): readonly Stretch[] =>
  stretchesOf(layerStops(view), MOST_MAPS),
);

/** The channels of a layer; kernels that do not say how many leave it to the shape. */
export const channelCount = ({ layer }: Stop): number => layer.channels ?? layer.shape?.[1] ?? 1;

/** One for each stop, in their order. */
export const riverReaches = derived((view: View): readonly Reach[] => {
  const stops = layerStops(view);
  const widths = stops.map((stop) => Math.log2(1 + channelCount(stop)));
  const most = Math.max(1, ...widths);
  const relevance = relevanceOf(view);
  return stops.map(({ name }, i) => {
    const found = relevance.get(name);
    return { width: widths[i]! / most, share: found?.share, against: (found?.value ?? 0) < 0 };
  });
});

/** A map that is painted small, in the present colours. */
export interface SmallMap {
  readonly heat: Heat;
  readonly limit: number;
  readonly table: Uint32Array;
}

interface Paint {
  readonly all: LayerMaps;
  readonly of: (name: string) => SmallMap | undefined;
}

/** How maps are painted now; undefined while there are none. */
const paint = derived((view: View): Paint | undefined => {
  const all = currentLayerMaps(view);
  if (!all) return undefined;
  const { sign, outlierPercent, held } = style(view);
  const table = CHANNEL_TABLES[sign](view);
  const known = new Map<string, SmallMap | undefined>();
  return {
    all,
    of: (name) => {
      if (!known.has(name)) {
        const heat = mapOf(all, name);
        const limit = heat && scaleOf(heat.values, sign, outlierPercent, held).limit;
        known.set(name, heat && { heat, limit: limit ?? 0, table });
      }
      return known.get(name);
    },
  };
});

/** The map that each stretch shows: that of its last layer, but of the picked one where that is in it. */
export function riverMap(view: View, { first, last }: Stretch): SmallMap | undefined {
  const stops = layerStops(view);
  const number = layerNumber(view);
  const layer = view.get("layer");
  const picked = number >= first && number <= last && stops[number - 1]?.members.includes(layer ?? "");
  return paint(view)?.of(stops[(picked ? number : last) - 1]!.name);
}

/** The map of a layer as it is painted on the river. */
export const smallLayerMap = (view: View, name: string): SmallMap | undefined => paint(view)?.of(name);

/** A stop in words: name, kind, channels, how much passes, and the sum of its map. */
export function stopText(view: View, number: number): string {
  const stop = layerStops(view)[number - 1];
  if (!stop) return "Input";
  const { name, layer, members } = stop;
  const others = members.filter((one) => one !== name);
  const sum = currentLayerMaps(view)?.maps.get(name)?.sum;
  const channels = channelCount(stop);
  const noun = nounOf(view, name);
  return [
    name || "the model",
    layer.kind,
    `${channels.toLocaleString("en-US")} ${noun}${channels === 1 ? "" : "s"}`,
    relevanceOf(view).get(name)?.words,
    sum === undefined ? undefined : `sum ${signed(sum)}`,
    others.length ? `same map: ${others.join(", ")}` : undefined,
  ]
    .filter(Boolean)
    .join(" · ");
}

/** The same, and below it what "carries" means where that is said. */
export function stopTooltip(view: View, number: number): string {
  const name = layerStops(view)[number - 1]?.name;
  const { doc } = view.get("layer_relevance");
  const carries = name !== undefined && relevanceOf(view).has(name) && doc ? `Carries: ${doc}` : "";
  return [stopText(view, number), carries].filter(Boolean).join("\n");
}
