/** The examples in the order that somebody wants them in, with what the model says of each. */
import { derived } from "../lib/derived";
import { number, wholePercent } from "../lib/format";
import type { ExamplePrediction } from "../state/messages.generated";
import type { View } from "../state/view";
import { stageWords } from "./words";

export type Order = "given" | "error" | "confidence";
export const ORDERS: readonly { readonly value: Order; readonly label: string }[] = [
  { value: "given", label: "as given" },
  { value: "error", label: "by error" },
  { value: "confidence", label: "by confidence" },
];

/** An order needs something to go by: errors the true classes, confidence what the model says. */
export const ordersOf = derived((view: View): typeof ORDERS => {
  const known = view.get("example_predictions");
  const labelled = known.some(({ wrong }) => wrong !== undefined);
  return ORDERS.filter(({ value }) => (value === "error" ? labelled : value === "given" || known.length > 0));
});

/** How far an example is from right: wrong ones first, those most of all of which the true class gets least. */
const error = (one: ExamplePrediction | undefined): number =>
  one?.wrong === undefined ? 2 : (one.wrong ? 0 : 1) + Math.min(0.999, Math.max(0, one.of_truth ?? 0));

/** The indices of the examples, one after the other. */
export function orderOf(view: View, order: Order): readonly number[] {
  const known = view.get("example_predictions");
  const indices = view.get("examples").map((_, i) => i);
  if (order === "given") return indices;
  const rank = (i: number): number =>
    order === "error" ? error(known[i]) : -(known[i]?.amount ?? Number.NEGATIVE_INFINITY);
  return indices.sort((a, b) => rank(a) - rank(b) || a - b);
}

/** What the model says of an example: "tiger cat 41%", or of a segmentation "cat 12% of pixels". */
export function predictionText({ label, amount, kind, pixels }: ExamplePrediction): string {
  if (label === undefined) return "";
  const words = kind === "score" ? number(amount ?? NaN) : wholePercent(amount ?? NaN);
  return `${label} ${words}${pixels ? " of pixels" : ""}`;
}

/** How many there are, and how many of them are wrong. */
export function countText(view: View): string {
  const count = view.get("examples").length;
  const known = view.get("example_predictions").filter(({ wrong }) => wrong !== undefined);
  const wrong = known.filter((one) => one.wrong).length;
  const all = `${count} ${stageWords(view).examples}`;
  if (!known.length) return all;
  return `${all}, ${wrong} wrong${known.length < count ? ` of ${known.length} known` : ""}`;
}
