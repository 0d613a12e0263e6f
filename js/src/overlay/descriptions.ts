/** The words for people who do not see the picture. */
import { gives } from "../data/layer-words";
import { regionsOf, strongest } from "../data/regions";
import { summary } from "../data/statistics";
import { number, signed } from "../lib/format";
import type { Point } from "../lib/zoom";
import type { Displayed } from "../selection/displayed";
import { estimateNotes, sharesOut } from "../selection/finding";
import type { Mode } from "../state/messages.generated";
import { valueUnder } from "./stage";

const OVER: Readonly<Record<Mode, string>> = {
  blended: "over the picture",
  heat: "without the picture",
  masked: "as a mask on the picture",
  side: "beside the picture",
};

/** One sentence or two: what is shown, and between which values. */
export function describe(shown: Displayed, mode: Mode = "blended"): string {
  const { kind, title, without } = shown;
  const field = shown.field?.whole ?? shown.field;
  if (!field) {
    const why = without ? `: ${gives(without)}` : "";
    return kind === "empty" ? "No picture yet" : `${title}. No map over it${why}.`;
  }
  const { min, max, peak } = summary(field.reference);
  const way = kind === "walk" && mode !== "heat" ? " on its way from the baseline" : "";
  const over = `${OVER[mode]}${way}`;
  if (peak < 0 || (min === 0 && max === 0)) return `${title}, ${over}. All values are zero.`;
  const w = shown.picture?.w ?? field.w;
  const height = shown.picture?.h ?? field.h;
  const x = Math.floor((((peak % field.w) + 0.5) * w) / field.w);
  const y = Math.floor(((Math.floor(peak / field.w) + 0.5) * height) / field.h);
  const end = kind === "walk" ? "At the input, values" : "Values";
  return (
    `${title}, ${over}. ${end} from ${number(min)} to ${number(max)}; ` +
    `the largest size is at x ${x}, y ${y}.`
  );
}

/** What a look at the map tells: how much, how sure, and where. Goes through all values: not for every frame. */
export function summarise({ field: drawn, heat }: Displayed, computing: boolean): string {
  const field = drawn?.whole ?? drawn;
  if (!field) return "";
  const sum = heat ? heat.sum : regionsOf(field.w, field.h, (i) => field.valueAt(i), 1, 1).sums[0];
  const words = sum === undefined ? [] : [`The attributions sum to ${number(sum)}.`];
  const estimate = heat ? estimateNotes(heat) : [];
  if (estimate.length) words.push(`As an estimate: ${estimate.join(", ")}.`);
  const ninths = regionsOf(field.w, field.h, (i) => field.valueAt(i), 3, 3);
  const where = strongest(ninths, !heat || sharesOut(heat), heat?.pixels); // the walk shares out the change so far
  if (where) words.push(where);
  if (heat?.preview) {
    const rest = computing ? "is still computing" : "has not finished";
    words.push(`This is a preview; the chosen method ${rest}.`);
  }
  if (heat?.changed) words.push("The model's weights changed while this was computed.");
  return words.join(" ");
}

/** The value under a pixel of the picture. */
export function valueText({ field, picture }: Displayed, point: Point): string {
  return field ? signed(valueUnder(field, point, picture?.w ?? field.w, picture?.h ?? field.h)) : "";
}

/** What is pointed at. */
export function readingOf(shown: Displayed, point: Point | undefined): string {
  if (!point) return "";
  const pixel = `x ${point.x}, y ${point.y}`;
  const value = valueText(shown, point);
  return value ? `${pixel}: ${value}` : pixel;
}
