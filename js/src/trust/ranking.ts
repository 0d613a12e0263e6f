/** Methods in the order of a metric, and what is said of each beside the controls. */
import { aligned } from "../lib/format";
import type { ComparedMethod, RawComparison } from "../state/messages.generated";

export type Standing = "best" | "lost" | "failed" | "plain";

export interface Ranked {
  readonly method: ComparedMethod;
  /** The value, or a dash where there is none. */
  readonly value: string;
  readonly standing: Standing;
  /** The standing in words; empty where there is nothing to say. */
  readonly words: string;
}

/** The metric that methods are ranked by if nobody says which. */
const USUAL = "deletion";

/** Which of the metrics methods are ranked by: the wanted one, the usual one or the first. */
export function rankedBy({ metrics = [] }: RawComparison, wanted: string | undefined): number {
  const place = (name: string | undefined): number => metrics.findIndex((metric) => metric.name === name);
  return [place(wanted), place(USUAL), 0].find((i) => i >= 0) ?? 0;
}

/** The methods from the best to the worst by a metric, those without a value last. */
export function ranked(raw: RawComparison, metric: number): Ranked[] {
  const methods = raw.methods ?? [];
  const better = raw.metrics?.[metric]?.better === "higher" ? -1 : 1;
  const badness = ({ values }: ComparedMethod): number => {
    const value = values[metric];
    return typeof value === "number" ? better * value : Infinity;
  };
  const controls = methods.filter((one) => one.control && badness(one) < Infinity);
  const sorted = methods
    .slice()
    .sort((a, b) => (badness(a) < badness(b) ? -1 : badness(a) > badness(b) ? 1 : 0));
  const numbers = sorted.map(({ values }) => values[metric] ?? NaN);
  const texts = aligned(numbers, raw.metrics?.[metric]?.rough);
  // What reads the same is as good: a word that tells two equal numbers apart would only puzzle.
  const textOf = (method: ComparedMethod): string => texts[sorted.indexOf(method)]!;
  const first = sorted.find((one) => !one.control && badness(one) < Infinity);
  return sorted.map((method, i) => {
    const size = badness(method);
    if (size === Infinity) {
      const words = method.notes[metric] ?? (raw.final === false ? "not judged yet" : "no value");
      return { method, value: "–", standing: "failed", words };
    }
    const value = texts[i]!;
    const beaten = method.control
      ? undefined
      : controls.find((control) => size >= badness(control) || value === textOf(control));
    if (beaten) return { method, value, standing: "lost", words: `no better than ${beaten.name}` };
    if (method.control) return { method, value, standing: "plain", words: "control" };
    const best = first !== undefined && value === textOf(first);
    return { method, value, standing: best ? "best" : "plain", words: best ? "best" : "" };
  });
}

const NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
const counted = (count: number, what: string): string =>
  `${NUMBERS[count] ?? String(count)} ${what}${count === 1 ? "" : "s"}`;

/** What stands over the maps: how many of what there are. */
export function headline({ methods = [], final }: RawComparison, example = "picture"): string {
  if (final === false || !methods.length) return `Methods on this ${example}`;
  const controls = methods.filter(({ control }) => control).length;
  const own = counted(methods.length - controls, "method");
  const words = controls ? `${own} and ${counted(controls, "control")}` : own;
  return `${words.charAt(0).toUpperCase()}${words.slice(1)} on this ${example}`;
}
