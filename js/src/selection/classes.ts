/** The classes to choose from, best first, and what the explained one is called. */
import { singleIndex } from "../data/messages";
import { derived } from "../lib/derived";
import { percent, signed } from "../lib/format";
import type { MenuItem } from "../lib/menu";
import type { View } from "../state/view";

/** What an output is called. */
export function classLabel(view: View, index: number): string {
  const known = view.get("predictions").items?.find((item) => item.index === index)?.label;
  const name = known ?? view.get("classes").names?.[index];
  return name?.trim() ? name : `class ${index}`;
}

/** What is explained, in a word or two. */
export function targetLabel(view: View): string {
  const target = view.get("target");
  const index = singleIndex(target);
  if (index !== undefined) return classLabel(view, index);
  if (typeof target === "string") return target;
  if (Array.isArray(target) && target.length === 3 && view.get("predictions").output === "segmentation") {
    const [one, row, column] = target as [number, number, number];
    return `${classLabel(view, one)} at row ${row}, column ${column}`;
  }
  if (Array.isArray(target)) return `output ${target.join(", ")}`;
  return isOnly(view) ? (view.get("classes").names?.[0] ?? "the output") : "the output";
}

/** Whether what is explained is the only output there is. */
export function isOnly(view: View): boolean {
  return view.get("target") === null && view.get("classes").count === 1;
}

/** All classes: those that the model thinks likeliest first, with what it says of them. */
export const classItems = derived((view: View): readonly MenuItem[] => {
  const { items = [], kind } = view.get("predictions");
  const best = items.map(({ index, label, score, probability }) => ({
    value: String(index),
    label,
    note: kind === "score" ? signed(score ?? NaN) : percent(probability ?? NaN),
  }));
  const listed = new Set(items.map(({ index }) => index));
  const { count = 0, names = [] } = view.get("classes");
  const others: MenuItem[] = [];
  for (let i = 0; i < count; i++) {
    const name = names[i] ?? "";
    if (!listed.has(i)) others.push({ value: String(i), label: name.trim() ? name : `class ${i}` });
  }
  return [...best, ...others];
});
