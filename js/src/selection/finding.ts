/** What the numbers of a map come to in words: one sentence, how good an estimate they are, and why there are none. */
import { gives } from "../data/layer-words";
import type { Heat } from "../data/messages";
import { largest, nameOf, type Regions, regionsOf } from "../data/regions";
import { memo } from "../lib/memo";
import { number, percent, signed } from "../lib/format";
import type { View } from "../state/view";
import { targetLabel, classLabel } from "./classes";
import type { Displayed, Field } from "./displayed";
import { isComputing } from "./freshness";
import { scopeOf } from "./scope";
import { columnName, currentTable } from "./table";

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

/** The parts of the example that a sentence can name, with the sums of what a map holds there, and of its sizes. */
interface Parts {
  readonly sums: ArrayLike<number>;
  readonly sizes: ArrayLike<number>;
  nameOf(part: number): string;
}

const columnParts: (field: Field) => Omit<Parts, "nameOf"> = memo((field) => {
  const sums = Array.from({ length: field.w }, (_, i) => field.valueAt(i)).map((value) =>
    Number.isFinite(value) ? value : 0,
  );
  return { sums, sizes: sums.map(Math.abs) };
});

/** Columns of a table, ninths of a picture; undefined where that is too small to have any. */
function partsOf(view: View, field: Field): Parts | undefined {
  if (currentTable(view)) return { ...columnParts(field), nameOf: (i) => columnName(view, i) };
  const { columns, rows, ...found } = ninths(field);
  if (columns < 3 || rows < 3) return undefined;
  return { ...found, nameOf };
}

/** Where the map speaks for what is explained, and where against it; empty while there is no such map. */
export function finding(view: View, { field: drawn, heat, stale }: Displayed): string {
  const field = drawn?.whole ?? drawn;
  const parts = field && partsOf(view, field);
  if (!parts || !heat || stale) return "";
  const { sums, sizes } = parts;
  const total = Array.from(sizes).reduce((sum, size) => sum + size, 0);
  if (!(total > 0)) return "";
  if (!sharesOut(heat)) {
    const most = largest(sizes, 1);
    const where = currentTable(view) ? `in ${parts.nameOf(most)}` : `at ${parts.nameOf(most)} of the picture`;
    return `${percent(sizes[most]! / total)} of the map lies ${where}.`;
  }
  const [most, least] = [largest(sums, 1), largest(sums, -1)];
  const against =
    sums[least]! < 0 ? `${parts.nameOf(least)} against it: ${signed(heat.pixels * sums[least]!)}` : "";
  if (!(sums[most]! > 0)) return `Nothing speaks for ${explained(view, heat)}; most of all ${against}.`;
  const what = `${parts.nameOf(most)} speaks most for ${explained(view, heat)}`;
  const part = heat.pixels * sums[most]!;
  const { share, whole } = partOf(part, heat.sum ?? NaN);
  // A column keeps the name that it has.
  const first = currentTable(view) ? what[0]! : what[0]!.toUpperCase();
  return `${first}${what.slice(1)}: ${signed(part)}${share}${against && `; ${against}`}${whole}.`;
}

/** Whether so much of a change is missed, beside the `size` of the map, that it has to be said. */
export function missesMuch(sum: number, gap: number, size: number): boolean {
  return Math.abs(gap) > ROUNDING * size && Math.abs(gap) > MOST_MISSED * Math.abs(sum - gap);
}

/** Why a finished map should not be relied on; empty where nothing is known against it. */
export function doubt(of: Heat): string {
  const { sum, gap, relativeError, preview, final } = of;
  if (preview || !final) return "";
  if (sum !== undefined && gap !== undefined && missesMuch(sum, gap, sizeOf(of.values) * of.pixels)) {
    const change = sum - gap;
    const missed = Math.abs(gap) / Math.abs(change);
    // What adds up to more, or to the contrary, misses no share of it.
    const short = missed <= 1 && Math.abs(sum) < Math.abs(change);
    const [all, whole] = [number(sum), number(change)];
    return short
      ? `This estimate misses ${percent(missed)} of the change: it adds up to ${all} of ${whole}.`
      : `This estimate adds up to ${all}, but the output ${of.compares ? "changes by" : "is"} ${whole}.`;
  }
  if (relativeError !== undefined && relativeError > MOST_UNCERTAIN) {
    return `This estimate is uncertain by ${percent(relativeError)} of the map.`;
  }
  return "";
}

/** How good the map is as an estimate, and what it has cost. */
export function estimateNotes({ gap, error, relativeError, evaluations }: Heat): string[] {
  const notes: string[] = [];
  if (gap !== undefined) notes.push(`gap ${signed(gap)}`);
  if (error !== undefined) {
    const relative = relativeError === undefined ? "" : ` (${percent(relativeError)} of the map)`;
    notes.push(`error ±${number(error)}${relative}`);
  } else if (relativeError !== undefined) {
    notes.push(`error ${percent(relativeError)} of the map`);
  }
  if (evaluations !== undefined) {
    const rows = evaluations.toLocaleString("en-US");
    notes.push(evaluations === 1 ? "1 evaluation" : `${rows} evaluations`);
  }
  return notes;
}

/** Why there is no map over the picture. */
export function whyNoMap(view: View, { alpha, without }: Displayed): string {
  if (without) {
    const below = view.has("channels") && without.layout && without.layout !== "other";
    return `no map: ${gives(without)}${below ? "; pick one below to see what drives it" : ""}`;
  }
  if (isComputing(view)) return alpha < 1 ? "computing the path" : "computing";
  return alpha < 1 ? "no path computed" : "no map computed";
}
