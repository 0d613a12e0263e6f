/** A region of the picture as a test of the map: what the map says it is worth, beside what covering it really costs. */
import { whyOff } from "../controls/needs-kernel";
import { Refusal } from "../controls/refusal";
import { singleIndex } from "../data/messages";
import { card } from "../lib/card";
import { clipped, h, setClipped, setText } from "../lib/dom";
import { sameValue } from "../lib/equality";
import { button } from "../lib/form-controls";
import { number, percent, signed } from "../lib/format";
import { chosenBaselines } from "../selection/baselines";
import { classLabel } from "../selection/classes";
import { displayed } from "../selection/displayed";
import { currentCovered, pickedColumns, pickRegion, regionMask, regionValue } from "../selection/region";
import { scopeOf } from "../selection/scope";
import { columnName, currentTable } from "../selection/table";
import { stageWords } from "../selection/words";
import { Readers } from "./readers";
import type { ChangedPrediction, RawCovered, RawReader, Region } from "../state/messages.generated";
import type { State } from "../state/state";
import type { View } from "../state/view";

/** So many regions can be gone back to. */
const KEPT = 20;

const NONE: readonly RawReader[] = [];

/** Words, some of which are numbers to be read at a glance. */
type Words = readonly (string | { readonly strong: string })[];

/** What it is covered with, as part of a sentence. */
function coverText(view: View): string {
  const known = view.get("baselines");
  const labels = chosenBaselines(view).map((name) => {
    return (known.find((one) => one.name === name)?.label ?? name).toLocaleLowerCase("en");
  });
  if (labels.length === 1) return `the baseline “${labels[0]}”`;
  return `the baselines ${labels.map((label) => `“${label}”`).join(", ")}, on average`;
}

/** What the map says, or why it says nothing. */
export function promiseWords(view: View): Words {
  const value = regionValue(view);
  const { heat, stale, kind } = displayed(view);
  if (value?.worth !== undefined) {
    const own = heat?.quantity === "attribution"; // of which nobody here knows what they are
    const says = own ? "The numbers of your method add up there to " : "The map says it is worth ";
    return [says, { strong: signed(value.worth) }, "; "];
  }
  const scope = scopeOf(view);
  if (scope === "layer") return ["A map of a layer does not say what it is worth; "];
  if (kind === "walk") return ["On the way from the baseline the map is not whole; "];
  if (!heat || stale || !heat.final || heat.preview) return ["The map is not ready; "];
  if (heat.sum === undefined) return ["The values of this map overlap, and do not add up; "];
  if (scope === "neuron" && heat.quantity === "contribution") {
    return ["The map says what passes on by way of the neuron, and not what it is worth to that; "];
  }
  return ["The values of this map are no contributions, and do not say what it is worth; "];
}

/** What covering it does to what is explained, or why that is not known. */
export function costWords(view: View, covered: RawCovered | undefined): Words {
  const with_ = `covering it with ${coverText(view)}`;
  const cost = covered?.cost;
  if (covered?.message !== undefined) return [`${with_} fails:`];
  if (typeof cost === "number") {
    if (cost === 0) return [`${with_} changes nothing`];
    return [`${with_} ${cost > 0 ? "costs" : "adds"} `, { strong: number(Math.abs(cost)) }];
  }
  if (covered) return [`${with_} gives no number`];
  return [view.reachable ? `${with_} …` : "what covering it costs takes the kernel"];
}

/** The numbers before and after. */
export function changeText(view: View, { before, after, kind, items = [] }: RawCovered): string {
  const words: string[] = [];
  const contrast = view.get("contrast");
  const target = singleIndex(view.get("target"));
  const explained = items.find(({ index }) => index === target);
  const score = contrast === null ? "score" : `score above ${classLabel(view, contrast)}`;
  const what = scopeOf(view) === "neuron" ? neuronWord(view) : score;
  const isShare = kind === "probability" && contrast === null && explained?.before === before;
  if (typeof before === "number" && typeof after === "number" && !isShare) {
    words.push(`${what} ${number(before)} → ${number(after)}`);
  }
  if (kind === "probability" && explained) words.push(shares(explained));
  return words.join(", ");
}

/** What a neuron holds: a whole channel its positions added up, of which its card tells the mean. */
const neuronWord = (view: View): string =>
  typeof view.get("neuron") === "number" ? "activation in all" : "activation";

const shares = ({ before, after }: ChangedPrediction): string =>
  `${percent(before ?? NaN)} → ${percent(after ?? NaN)}`;

/** The class that is best once it is covered, where that is another than before. */
export function bestText({ kind, items = [] }: RawCovered): string {
  const best = (of: (one: ChangedPrediction) => number | null): ChangedPrediction | undefined =>
    [...items].sort((a, b) => (of(b) ?? -Infinity) - (of(a) ?? -Infinity))[0];
  const then = best(({ after }) => after);
  if (!then || then.index === best(({ before }) => before)?.index) return "";
  const amount = kind === "probability" ? percent(then.after ?? NaN) : number(then.after ?? NaN);
  return `The best class is then ${then.label}, ${amount}`;
}

function sizeText(view: View): string {
  const mask = regionMask(view);
  const value = regionValue(view);
  if (!mask || !value) return "Finding the segment …";
  const row = currentTable(view);
  if (row) return columnsText(view, row.columns.length);
  const pixels = mask.count === 1 ? "1 pixel" : `${mask.count.toLocaleString("en-US")} pixels`;
  return `${pixels}: ${percent(value.area)} of the picture`;
}

/** The names of the columns that are asked about, as far as there is room for them. */
function columnsText(view: View, count: number): string {
  const names = [...pickedColumns(view)].map((column) => columnName(view, column));
  const [only] = names;
  const size = `${names.length} of ${count} columns`;
  return names.length === 1 ? `${only!}: ${size}` : `${size}: ${names.join(", ")}`;
}

/** How much of the map lies in the region. */
function shareText(view: View): string {
  const share = regionValue(view)?.share;
  return share === undefined ? "" : `${percent(share)} of the map by size`;
}

export class CoveredCard {
  readonly node: HTMLElement;
  readonly #frame = card("as-covered", "Covered");
  readonly #invitation = h("div", { class: "as-note as-invitation" });
  readonly #sentence = h("p", { class: "as-covered-sentence", "aria-live": "polite", dir: "auto" });
  readonly #change = h("span", { class: "as-facts", dir: "auto" });
  readonly #best = h("span", { class: "as-facts", dir: "auto" });
  readonly #share = h("span", { class: "as-facts" });
  readonly #size = clipped("as-note");
  readonly #message = h("div", { class: "as-warning", dir: "auto", hidden: true });
  readonly #readers: Readers;
  readonly #undo: HTMLButtonElement;
  readonly #refusal: Refusal;
  /** The regions before this one, the latest last. */
  readonly #past: (Region | null)[] = [];
  #region: Region | null;
  #said = "";

  constructor(state: State) {
    const { signal, view } = state;
    this.node = h("div", {}, this.#invitation, this.#frame.element);
    this.#region = view.get("selection");
    this.#undo = button("as-link", "Undo", signal, () => {
      const before = this.#past.pop() ?? null;
      this.#region = before;
      pickRegion(state, before);
    });
    this.#undo.title = "Back to the region before";
    const clear = button("as-link", "Clear", signal, () => pickRegion(state, null));
    const words = stageWords(view);
    clear.title = words.letGo;
    setText(this.#invitation, words.ask);
    this.#refusal = new Refusal(view, "selection", []);
    this.#frame.head.append(this.#size, h("span", { class: "as-hint" }), this.#undo, clear);
    this.#readers = new Readers(state);
    const facts = h("div", { class: "as-covered-facts" }, this.#change, this.#best, this.#share);
    this.#frame.element.append(this.#sentence, this.#message, facts, this.#readers.node, this.#refusal.node);
    state.follow(this);
  }

  show(view: View): void {
    this.#refusal.show(view);
    const region = view.get("selection");
    this.#note(region);
    const empty = region === null && this.#refusal.node.hidden;
    this.#frame.element.hidden = empty;
    this.#invitation.hidden = !empty || whyOff(view.kernel) !== undefined;
    if (region === null) return;
    const covered = currentCovered(view);
    this.#say([...promiseWords(view), ...costWords(view, covered)]);
    setText(this.#change, covered ? changeText(view, covered) : "");
    setText(this.#best, covered ? bestText(covered) : "");
    setText(this.#share, shareText(view));
    setClipped(this.#size, sizeText(view));
    const message = covered?.message ?? "";
    setText(this.#message, message);
    this.#message.hidden = message === "";
    this.#readers.show(view, covered?.readers ?? NONE);
    const why = whyOff(view.kernel);
    this.#sentence.title = covered || !why ? "" : why;
    this.#undo.disabled = this.#past.length === 0;
  }

  /** Remembers what to go back to, wherever the region was picked. */
  #note(region: Region | null): void {
    if (sameValue(region, this.#region)) return;
    if (this.#region !== null) this.#past.push(this.#region);
    if (this.#past.length > KEPT) this.#past.shift();
    this.#region = region;
  }

  #say(words: Words): void {
    const key = JSON.stringify(words);
    if (key === this.#said) return;
    this.#said = key;
    this.#sentence.replaceChildren(
      ...words.map((one) => (typeof one === "string" ? one : h("b", {}, one.strong))),
    );
  }
}
