/** The predictions: a list of classes with bars; picking one explains it. */
import { card, clipped, h, setAttribute, setClipped, setText, setVariable } from "./dom";
import { aligned, number, percent, position } from "./format";
import { answers, currentPath, presentAlpha } from "./shown";
import type { State } from "./state";
import type { Prediction, RawPredictions } from "./traits";
import { at, locate } from "./walk";
import { singleIndex } from "./wire";

interface Row {
  readonly element: HTMLElement;
  readonly label: HTMLElement;
  readonly value: HTMLElement;
}

/** The probability of each class at a place on the path; undefined at the input, or when the path does not know it. */
function probabilitiesOnTheWay(state: State): Map<number, number> | undefined {
  const alpha = presentAlpha(state);
  const way = alpha < 1 ? currentPath(state) : undefined;
  if (!way?.probabilities.length || !answers(state, way.request, ["baseline"])) return undefined;
  const place = locate(way.alphas, alpha);
  return new Map(way.classes.map(({ index }, i) => [index, at(way.probabilities[i] ?? [], place)] as const));
}

/** Where a bar begins and ends, as shares of the track: scores may lie on both sides of zero. */
export function barSpan(value: number, low: number, high: number): { from: number; to: number } {
  const zero = (0 - low) / (high - low);
  const end = (value - low) / (high - low);
  if (!Number.isFinite(zero) || !Number.isFinite(end)) return { from: 0, to: 0 };
  return { from: Math.min(zero, end), to: Math.max(zero, end) };
}

export function predictions(state: State, el: HTMLElement): void {
  const { signal } = state;
  const frame = card("as-predictions", "Predictions");
  const hint = h("span", { class: "as-hint" });
  frame.head.append(hint);
  const list = h("div", { class: "as-list", role: "listbox", "aria-label": "Predictions" });
  frame.element.append(list);
  el.append(frame.element);

  let items: readonly Prediction[] = [];
  let rows: Row[] = [];
  let source: RawPredictions | undefined;
  let focus = 0;

  const pick = (i: number): void => {
    const item = items[i];
    if (item) state.set("target", item.index);
  };
  const moveTo = (i: number): void => {
    focus = Math.min(rows.length - 1, Math.max(0, i));
    rows.forEach(({ element }, j) => setAttribute(element, "tabindex", j === focus ? "0" : "-1"));
    rows[focus]?.element.focus();
  };

  const build = (raw: RawPredictions): void => {
    source = raw;
    items = raw.items ?? [];
    const held = rows.some(({ element }) => element.matches(":focus"));
    rows = items.map((item) => row(item));
    setAttribute(list, "data-empty", items.length ? undefined : "1");
    list.replaceChildren(...rows.map(({ element }) => element));
    focus = Math.max(
      0,
      items.findIndex(({ index }) => index === singleIndex(state.get("target"))),
    );
    if (held) moveTo(focus);
  };

  const update = (): void => {
    const raw = state.get("predictions") ?? {};
    if (raw !== source) build(raw);
    const scores = raw.kind === "score";
    const target = singleIndex(state.get("target"));
    const onTheWay = scores ? undefined : probabilitiesOnTheWay(state);
    const sizes = items.map(({ score }) => score).filter(Number.isFinite);
    const low = scores ? Math.min(0, ...sizes) : 0;
    const high = scores ? Math.max(0, ...sizes) : 1; // probabilities are shares of the whole track

    const texts = scores ? aligned(items.map(({ score }) => score)) : [];

    items.forEach((item, i) => {
      const { element, label, value } = rows[i]!;
      const walked = onTheWay?.get(item.index);
      const amount = scores ? item.score : (walked ?? item.probability ?? NaN);
      const text = texts[i] ?? percent(amount);
      const { from, to } = barSpan(amount, low, high);
      setVariable(element, "--as-from", from.toFixed(4));
      setVariable(element, "--as-to", to.toFixed(4));
      setText(value, text);
      setClipped(label, item.label, `${item.label} (output ${item.index}, score ${number(item.score)})`);
      setAttribute(element, "aria-selected", String(item.index === target));
      setAttribute(element, "data-unknown", onTheWay && walked === undefined ? "1" : undefined);
      setAttribute(element, "tabindex", i === focus ? "0" : "-1");
    });
    setText(
      hint,
      onTheWay ? `at α = ${position(presentAlpha(state))}` : items.length > 1 ? "pick one to explain it" : "",
    );
  };

  list.addEventListener(
    "click",
    (event) => {
      const i = rows.findIndex(({ element }) => element.contains(event.target as Node));
      if (i < 0) return;
      moveTo(i);
      pick(i);
    },
    { signal },
  );
  list.addEventListener(
    "keydown",
    (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const to = { ArrowDown: focus + 1, ArrowUp: focus - 1, Home: 0, End: rows.length - 1 }[event.key];
      if (to !== undefined) moveTo(to);
      else if (event.key === "Enter" || event.key === " ") pick(focus);
      else return;
      event.preventDefault();
    },
    { signal },
  );
  state.follow(["predictions", "target", "path", "alpha", "baseline"], update);
}

function row({ index }: Prediction): Row {
  const label = clipped("as-name");
  const value = h("span", { class: "as-number" });
  const bar = h("span", { class: "as-track", "aria-hidden": "true" }, h("span", { class: "as-amount" }));
  const element = h(
    "div",
    { class: "as-option", role: "option", "data-index": index, "aria-selected": "false" },
    label,
    bar,
    value,
  );
  return { element, label, value };
}
