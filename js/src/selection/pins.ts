/** The maps that were kept: which of them are looked at, and how, with each other or with the map on show. */
import { heat, picture } from "../data/messages";
import { derived } from "../lib/derived";
import { sameValue } from "../lib/equality";
import type { CompareAs, RawHeat, RawPinned } from "../state/messages.generated";
import type { View } from "../state/view";
import { blockSide } from "./detail";
import { difference, whyNotSubtract } from "./difference";
import { type Displayed, displayed, ofHeat } from "./displayed";

/** As many can be looked at. */
export const MOST_PICKED = 2;

export const WAYS: readonly { value: CompareAs; label: string }[] = [
  { value: "side", label: "Side by side" },
  { value: "difference", label: "Difference" },
  { value: "flicker", label: "Flicker" },
];

export interface Pin {
  readonly id: number;
  readonly shown: Displayed;
}

function pinOf({ id, title, heat: map, picture: under }: RawPinned, side: number): Pin[] {
  const kept = heat(map);
  if (!kept) return [];
  const seen = ofHeat(kept, side);
  return [
    { id, shown: { ...seen, title, picture: picture(under), from: undefined, alpha: 1, stale: false } },
  ];
}

/** All that are kept, oldest first. */
export const pins = derived((view: View): readonly Pin[] => {
  const side = blockSide(view);
  return view.get("pinned").flatMap((raw) => pinOf(raw, side));
});

/** Those that are looked at, in the order in which they were picked. */
export const picked = derived((view: View): readonly Pin[] =>
  view
    .get("beside")
    .flatMap((id) => pins(view).find((pin) => pin.id === id) ?? [])
    .slice(0, MOST_PICKED),
);

const withoutData = (one: RawHeat): RawHeat => ({ ...one, data: undefined });

/** The number of the pin that is the map on show; undefined where that is not kept. */
export const pinOnShow = derived((view: View): number | undefined => {
  const told = view.get("heat");
  const { kind, heat: shown } = displayed(view);
  if (kind !== "heat" || told.request !== shown?.request) return undefined;
  return view.get("pinned").find((pin) => sameValue(withoutData(pin.heat), withoutData(told)))?.id;
});

/** What the numbers of a map are; on the way they build up contributions. */
const quantityOf = ({ kind, heat: of }: Displayed): string | undefined =>
  kind === "walk" ? "contribution" : of?.quantity;

/** Whether two maps count the same, so that one scale is good for both. */
export const countAlike = ([one, other]: readonly [Displayed, Displayed]): boolean =>
  !one.field || !other.field || quantityOf(one) === quantityOf(other);

/** What stands on the stage. */
export interface Arrangement {
  readonly kind: "alone" | CompareAs;
  /** On the left, where two stand side by side. */
  readonly left: Pin | undefined;
  /** On the right there, where that is not the map on show. */
  readonly right: Pin | undefined;
  /** What is subtracted from each other, or flickers; undefined where the map on show stands alone. */
  readonly pair: readonly [Displayed, Displayed] | undefined;
  /** The first minus the second. */
  readonly difference: Displayed | undefined;
  /** Why it is not as was chosen; empty where it is. */
  readonly why: string;
}

export const arrangement = derived((view: View): Arrangement => {
  const [one, two] = picked(view);
  const none = { left: undefined, right: undefined, difference: undefined, why: "" };
  if (!one || (!two && one.id === pinOnShow(view))) return { ...none, kind: "alone", pair: undefined };
  const pair = two ? ([one.shown, two.shown] as const) : ([displayed(view), one.shown] as const);
  const chosen = view.get("compare_as");
  if (chosen === "flicker") return { ...none, kind: chosen, pair };
  const beside = { ...none, kind: "side" as const, left: one, right: two, pair };
  if (chosen !== "difference") return beside;
  const why = whyNotSubtract(...pair);
  if (why) return { ...beside, why: `no difference: ${why}` };
  return { ...none, kind: chosen, pair, difference: difference(...pair, blockSide(view)) };
});
