/** One sentence made from the numbers of a map, and what has to be said where they are a bad estimate. */
import type { Heat } from "../data/messages";
import { largest, nameOf, type Regions, regionsOf } from "../data/regions";
import { memo } from "../lib/memo";
import { number, percent, signed } from "../lib/format";
import { targetLabel, classLabel } from "../selection/classes";
import type { Displayed, Field } from "../selection/displayed";
import { scopeOf } from "../selection/scope";
import type { View } from "../state/view";

/** An estimate that misses more than this share of what it should add up to is a bad one. */
const MOST_MISSED = 0.1;
/** And so is one whose errors are larger than this share of the map. */
const MOST_UNCERTAIN = 0.25;

/** What is missed of the size of a map by rounding alone, in single precision. */
const ROUNDING = 1e-5;

const sizeOf: (values: Float32Array) => number = memo((values) => {
  let size = 0;
  for (const value of values) if (Number.isFinite(value)) size += Math.abs(value);
  return size;
});

const ninths: (field: Field) => Regions = memo((field) =>
  regionsOf(field.w, field.h, (i) => field.valueAt(i), 3, 3),
);

/** Whether the numbers of a map are shares of what it adds up to: then parts of it speak for that and against it. */
export const sharesOut = ({ quantity, summable, sum }: Heat): boolean =>
  quantity === "contribution" && summable && sum !== undefined;

/** A part beside the whole: as a share of it, unless other parts take back some of what it adds. */
function partOf(part: number, whole: number): { share: string; whole: string } {
  const isShare = Math.sign(part) === Math.sign(whole) && Math.abs(part) <= Math.abs(whole);
  return isShare
    ? { share: ` of ${number(whole)}`, whole: "" }
    : { share: "", whole: `; all together ${number(whole)}` };
}

/** What is explained: a class, or how much it is above another; for a neuron what the numbers are contributions to. */
function explained(view: View, { unit }: Heat): string {
  if (scopeOf(view) === "neuron") return unit.replace(/^contribution to /, "");
  const contrast = view.get("contrast");
  const against = contrast === null ? "" : ` rather than ${classLabel(view, contrast)}`;
  return `${targetLabel(view)}${against}`;
}

/** Where the map speaks for what is explained, and where against it; empty while there is no such map. */
export function finding(view: View, { field: drawn, heat, stale }: Displayed): string {
  const field = drawn?.whole ?? drawn;
  if (!field || !heat || stale) return "";
  const { sums, sizes, columns, rows } = ninths(field);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (columns < 3 || rows < 3 || !(total > 0)) return "";
  if (!sharesOut(heat)) {
    const most = largest(sizes, 1);
    return `${percent(sizes[most]! / total)} of the map lies at ${nameOf(most)} of the picture.`;
  }
  const [most, least] = [largest(sums, 1), largest(sums, -1)];
  const against =
    sums[least]! < 0 ? `${nameOf(least)} against it: ${signed(heat.pixels * sums[least]!)}` : "";
  if (!(sums[most]! > 0)) return `Nothing speaks for ${explained(view, heat)}; most of all ${against}.`;
  const what = `${nameOf(most)} speaks most for ${explained(view, heat)}`;
  const part = heat.pixels * sums[most]!;
  const { share, whole } = partOf(part, heat.sum ?? NaN);
  return `${what[0]!.toUpperCase()}${what.slice(1)}: ${signed(part)}${share}${against && `; ${against}`}${whole}.`;
}

/** Why a finished map should not be relied on; empty where nothing is known against it. */
export function doubt(of: Heat): string {
  const { sum, gap, relativeError, preview, final } = of;
  if (preview || !final) return "";
  if (sum !== undefined && gap !== undefined && Math.abs(gap) > ROUNDING * sizeOf(of.values) * of.pixels) {
    const change = sum - gap;
    const missed = Math.abs(gap) / Math.abs(change);
    if (missed > MOST_MISSED) {
      // What adds up to more, or to the contrary, misses no share of it.
      const short = missed <= 1 && Math.abs(sum) < Math.abs(change);
      const [all, whole] = [number(sum), number(change)];
      return short
        ? `This estimate misses ${percent(missed)} of the change: it adds up to ${all} of ${whole}.`
        : `This estimate adds up to ${all}, but the output ${of.compares ? "changes by" : "is"} ${whole}.`;
    }
  }
  if (relativeError !== undefined && relativeError > MOST_UNCERTAIN) {
    return `This estimate is uncertain by ${percent(relativeError)} of the map.`;
  }
  return "";
}
