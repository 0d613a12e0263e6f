/** The predictions: a list of classes with bars, also with some neurons switched off; picking one explains it. */
import { needKernel, whyOff } from "../controls/needs-kernel";
import { Refusal } from "../controls/refusal";
import type { WhatIf } from "../data/channels";
import { singleIndex } from "../data/messages";
import { at, locate } from "../data/walk-frames";
import { barSpan } from "../lib/bars";
import { card } from "../lib/card";
import { clipped, h, setAttribute, setClipped, setText, setVariable } from "../lib/dom";
import { button } from "../lib/form-controls";
import { aligned, number, percent, points, position, signed } from "../lib/format";
import { ablatedOf, currentWhatIf } from "../selection/channels";
import { currentPath, presentAlpha } from "../selection/displayed";
import { answers, markOf } from "../selection/freshness";
import type { State } from "../state/state";
import type { RawPredictions } from "../state/traits";

/** A class, with what is predicted for it: a probability, or a score. */
interface Item {
  readonly index: number;
  readonly label: string;
  readonly score: number;
  readonly amount: number;
  /** With some neurons switched off: what it was before. */
  readonly before?: number;
  /** It came among the best only by the change. */
  readonly isNew?: boolean;
}

interface Row {
  readonly element: HTMLElement;
  readonly label: HTMLElement;
  /** Words for those who listen: that the explained class is compared with this one. */
  readonly note: HTMLElement;
  readonly value: HTMLElement;
  readonly change: HTMLElement;
  readonly versus: HTMLElement;
}

/** The probability of each class at a place on the path; undefined at the input, or when the path does not know it. */
function probabilitiesOnTheWay(state: State): Map<number, number> | undefined {
  const alpha = presentAlpha(state);
  const way = alpha < 1 ? currentPath(state) : undefined;
  if (!way?.probabilities.length || !answers(state, way.request, ["baseline"])) return undefined;
  const place = locate(way.alphas, alpha);
  return new Map(way.classes.map(({ index }, i) => [index, at(way.probabilities[i] ?? [], place)] as const));
}

function intactItems({ items = [], kind }: RawPredictions): Item[] {
  return items.map(({ index, label, score, probability }) => {
    return { index, label, score, amount: kind === "score" ? score : (probability ?? NaN) };
  });
}

function changedItems(answer: WhatIf, intact: readonly Item[]): Item[] {
  const known = new Set(intact.map(({ index }) => index));
  return answer.items.map(({ index, label, before, after, after_score: score }) => {
    return { index, label, score, amount: after, before, isNew: !known.has(index) };
  });
}

/** What came of a change: in percentage points, or in the score's units. */
function changeText({ amount, before = NaN }: Item, scores: boolean): string {
  const change = amount - before;
  return scores ? signed(change) : points(change);
}

export function predictions(state: State, el: HTMLElement): void {
  const { signal } = state;
  const frame = card("as-predictions", "Predictions");
  const hint = h("span", { class: "as-hint" });
  frame.head.append(hint);
  const list = h("div", { class: "as-list", role: "listbox", "aria-label": "Predictions" });
  const contrast = contrastLine(state);
  const refusals = (["target", "contrast"] as const).map((trait) => new Refusal(state, trait, [list]));
  frame.element.append(list, contrast.element, ...refusals.map(({ element }) => element));
  el.append(frame.element);

  let items: readonly Item[] = [];
  let rows: Row[] = [];
  let source: RawPredictions | WhatIf | undefined;
  let focus = 0;

  const pick = (i: number): void => {
    const item = items[i];
    if (!item) return;
    for (const refusal of refusals) refusal.clear();
    if (item.index === state.get("contrast")) state.choose("contrast", null); // nothing is compared with itself
    state.choose("target", item.index);
  };
  const compare = (i: number): void => {
    const item = items[i];
    if (!item || !canCompare(state, item.index)) return;
    for (const refusal of refusals) refusal.clear();
    state.choose("contrast", item.index === state.get("contrast") ? null : item.index);
  };
  const moveTo = (i: number): void => {
    focus = Math.min(rows.length - 1, Math.max(0, i));
    rows.forEach(({ element }, j) => setAttribute(element, "tabindex", j === focus ? "0" : "-1"));
    rows[focus]?.element.focus();
  };

  const build = (from: RawPredictions | WhatIf, now: readonly Item[]): void => {
    source = from;
    const same = now.length === items.length && now.every(({ index }, i) => index === items[i]!.index);
    const held = rows.some(({ element }) => element.matches(":focus")) ? items[focus]?.index : undefined;
    items = now;
    setAttribute(list, "data-empty", items.length ? undefined : "1");
    if (same) return; // the bars move, and nothing else
    rows = items.map((item) => row(item));
    list.replaceChildren(...rows.map(({ element }) => element));
    const placeOf = (wanted: number | undefined): number => items.findIndex(({ index }) => index === wanted);
    focus = placeOf(held);
    if (focus < 0) focus = Math.max(0, placeOf(singleIndex(state.get("target"))));
    if (held !== undefined) moveTo(focus);
  };

  const update = (): void => {
    const raw = state.get("predictions") ?? {};
    const scores = raw.kind === "score";
    const onTheWay = scores ? undefined : probabilitiesOnTheWay(state);
    // The walk shows the model as it is: what is switched off waits at its end.
    const off = onTheWay ? 0 : ablatedOf(state).length;
    const answer = off ? currentWhatIf(state) : undefined;
    const changed = answer?.items.length ? answer : undefined;
    const from = changed ?? raw;
    if (from !== source) {
      const intact = intactItems(raw);
      build(from, changed ? changedItems(changed, intact) : intact);
    }
    const target = singleIndex(state.get("target"));
    const sizes = items.flatMap(({ amount, before = 0 }) => [amount, before]).filter(Number.isFinite);
    const low = scores ? Math.min(0, ...sizes) : 0;
    const high = scores ? Math.max(0, ...sizes) : 1; // probabilities are shares of the whole track
    const against = state.get("contrast") ?? undefined;
    hint.title = state.has("contrast") ? "vs, or the key c, compares with another class" : "";
    const why = whyOff(state.kernel);
    list.title = why ?? "";
    setAttribute(list, "data-compares", state.has("contrast") ? "1" : undefined);
    setAttribute(list, "data-changed", changed ? "1" : undefined);
    frame.mark(off && !answer ? markOf(state, true) : undefined, false);
    const texts = scores ? aligned(items.map(({ amount }) => amount)) : [];

    items.forEach((item, i) => {
      const { element, label, note, value, change, versus } = rows[i]!;
      const walked = onTheWay?.get(item.index);
      const amount = walked ?? item.amount;
      const text = texts[i] ?? percent(amount);
      const { from, to } = barSpan(amount, low, high);
      setVariable(element, "--as-from", from.toFixed(4));
      setVariable(element, "--as-to", to.toFixed(4));
      setText(value, text);
      setText(change, item.before === undefined ? "" : changeText(item, scores));
      const was = item.before === undefined ? undefined : barSpan(item.before, low, high);
      setVariable(element, "--as-was", ((was && (item.before! < 0 ? was.from : was.to)) ?? 0).toFixed(4));
      setAttribute(element, "data-new", item.isNew ? "1" : undefined);
      setClipped(label, item.label, `${item.label} (output ${item.index}, score ${number(item.score)})`);
      setAttribute(element, "aria-selected", String(item.index === target));
      const compared = item.index === against;
      const notes = [
        item.before === undefined ? "" : `, before ${scores ? number(item.before) : percent(item.before)}`,
        item.isNew ? ", new among the best" : "",
        compared ? ", compared with" : "",
      ];
      setText(note, notes.join(""));
      setAttribute(element, "data-contrast", compared ? "1" : undefined);
      setAttribute(element, "aria-keyshortcuts", canCompare(state, item.index) ? "c" : undefined);
      setAttribute(element, "aria-disabled", why && item.index !== target ? "true" : undefined);
      versus.hidden = !canCompare(state, item.index);
      versus.title = compared
        ? "Compare no more (key c)"
        : `Why not ${item.label}? Explain the difference (key c)`;
      setAttribute(element, "data-unknown", onTheWay && walked === undefined ? "1" : undefined);
      setAttribute(element, "tabindex", i === focus ? "0" : "-1");
    });
    setText(
      hint,
      onTheWay
        ? `at α = ${position(presentAlpha(state))}`
        : changed
          ? `with ${off} switched off`
          : why || items.length < 2
            ? ""
            : "pick one to explain it",
    );
  };

  list.addEventListener(
    "click",
    (event) => {
      const i = rows.findIndex(({ element }) => element.contains(event.target as Node));
      if (i < 0) return;
      moveTo(i);
      if ((event.target as Element).closest(".as-versus")) compare(i);
      else pick(i);
    },
    { signal },
  );
  list.addEventListener(
    "keydown",
    (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const held = rows.findIndex(({ element }) => element === event.target);
      if (held >= 0) focus = held; // however the focus came there
      const to = { ArrowDown: focus + 1, ArrowUp: focus - 1, Home: 0, End: rows.length - 1 }[event.key];
      if (to !== undefined) moveTo(to);
      else if (event.key === "Enter" || event.key === " ") pick(focus);
      else if (event.key === "c") compare(focus);
      else return;
      event.preventDefault();
    },
    { signal },
  );
  state.follow(
    [
      "predictions",
      "target",
      "contrast",
      "example",
      "path",
      "alpha",
      "baseline",
      "ablated",
      "ablate_to",
      "what_if",
      "status",
      "kernel",
    ],
    update,
  );
}

/** Whether the explained class can be compared with this one. */
function canCompare(state: State, index: number): boolean {
  const target = singleIndex(state.get("target"));
  return state.has("contrast") && state.reachable && target !== undefined && target !== index;
}

/** What is compared with what, and the way back. */
function contrastLine(state: State): { element: HTMLElement } {
  const words = clipped("as-contrast-words");
  const remove = button("as-link", "Remove contrast", state.signal, () => state.choose("contrast", null));
  const element = h("div", { class: "as-contrast", hidden: true }, words, remove);
  needKernel(state, remove);
  const label = (index: number): string =>
    state.get("predictions")?.items?.find((item) => item.index === index)?.label ?? `output ${index}`;
  state.follow(["contrast", "target", "predictions"], () => {
    const target = singleIndex(state.get("target"));
    const against = state.get("contrast");
    const compared = typeof against === "number" && target !== undefined;
    element.hidden = !compared;
    setClipped(words, compared ? `${label(target)} rather than ${label(against)}` : "");
  });
  return { element };
}

function row({ index }: Item): Row {
  const label = clipped("as-name");
  const note = h("span", { class: "as-sizeless" });
  const value = h("span");
  const change = h("span", { class: "as-change" });
  const versus = h("span", { class: "as-versus", "aria-hidden": "true" }); // for pointers; keys have "c"
  const bar = h(
    "span",
    { class: "as-track", "aria-hidden": "true" },
    h("span", { class: "as-amount" }),
    h("span", { class: "as-was" }),
  );
  const element = h(
    "div",
    { class: "as-option", role: "option", "data-index": index, "aria-selected": "false" },
    label,
    bar,
    h("span", { class: "as-number" }, value, change, note),
    versus,
  );
  return { element, label, note, value, change, versus };
}
