/** All rows of a table: the card that asks for them, and shows what each column does in all of them. */
import { whyOff } from "../controls/needs-kernel";
import { type Rows, rows as decodeRows } from "../data/rows";
import { card } from "../lib/card";
import { clipped, h, setAttribute, setText, setVariable } from "../lib/dom";
import { button } from "../lib/form-controls";
import { number } from "../lib/format";
import { rowsAreStale, rowsMark, whyWait } from "../selection/freshness";
import type { State } from "../state/state";
import type { View } from "../state/view";
import { columnName, STRIP, Swarm } from "./swarm";

/** So many columns are shown at first. */
const FIRST = 10;

const INVITATION = "Explains each row as the one on show is, and shows what each column does in all of them.";

const counted = (count: number): string => count.toLocaleString("en-US");

/** How many rows are explained, where that is not all of them. */
function countText({ count, failed }: Rows, all: number): string {
  const explained = count < all ? `${counted(count)} of ${counted(all)} rows` : `${counted(count)} rows`;
  return failed ? `${explained}, ${counted(failed)} without an explanation` : explained;
}

export class RowsCard {
  readonly node: HTMLElement;
  readonly #frame = card("as-rows", "All rows");
  readonly #hint = h("span", { class: "as-hint" });
  readonly #explain: HTMLButtonElement;
  readonly #note = h("div", { class: "as-note" }, INVITATION);
  readonly #list = h("ul", {
    class: "as-rows-list",
    "aria-label": "Mean size of each column's attributions",
  });
  readonly #swarm: Swarm;
  readonly #kinds: readonly HTMLButtonElement[];
  readonly #filled: HTMLElement;
  readonly #legend: HTMLElement;
  readonly #missing = h("span", { class: "as-rows-missing" }, "missing");
  readonly #unit = h("div", { class: "as-note", dir: "auto" });
  readonly #others = h("span");
  readonly #more: HTMLButtonElement;
  #bars = false;
  #open = false;
  #listed = "";

  constructor(state: State) {
    const frame = this.#frame;
    const { signal } = state;
    const press = (label: string, pressed: () => void, className: string): HTMLButtonElement =>
      button(className, label, signal, () => {
        pressed();
        state.redraw(this);
      });
    this.node = frame.element;
    this.#explain = button("as-button", "", signal, () => state.send({ type: "explain_rows" }));
    this.#swarm = new Swarm(state, () => state.redraw(this));
    this.#kinds = [false, true].map((bars) =>
      press(bars ? "Bars" : "Beeswarm", () => (this.#bars = bars), "as-button"),
    );
    this.#more = press("", () => (this.#open = !this.#open), "as-link");
    const strip = h("span", { class: "as-rows-strip" });
    setVariable(strip, "--as-shades", STRIP);
    this.#legend = h(
      "div",
      { class: "as-rows-flow" },
      "low",
      strip,
      "high value of the column",
      this.#missing,
    );
    this.#filled = h(
      "div",
      { class: "as-rows-filled" },
      h("div", { class: "as-rows-flow" }, ...this.#kinds, this.#legend),
      h("div", { class: "as-rows-chart" }, this.#list, this.#swarm.node),
      h("div", { class: "as-rows-flow" }, this.#others, this.#more),
      this.#unit,
    );
    frame.head.append(this.#hint, this.#explain);
    frame.element.append(this.#note, this.#filled);
    state.follow(this);
  }

  show(view: View): void {
    const raw = view.get("rows");
    const rows = decodeRows(raw);
    const stale = rows !== undefined && rowsAreStale(view, raw);
    const all = view.get("table").rows ?? 0;
    this.#frame.mark(rows && rowsMark(view, raw), stale);
    this.#frame.title.title = raw.title ?? "";
    setText(this.#hint, rows ? countText(rows, all) : "");
    const again = rows && (stale || raw.final !== false);
    setText(this.#explain, again ? "Explain again" : `Explain all ${counted(all)} rows`);
    const why = whyOff(view.kernel) ?? whyWait(view);
    this.#explain.disabled = why !== undefined;
    this.#explain.title = why ?? "Explain every row for what is explained now, with this method and baseline";
    this.#note.hidden = rows !== undefined;
    this.#filled.hidden = !rows;
    if (rows) this.#fill(view, rows, raw.unit ?? "");
  }

  #fill(view: View, rows: Rows, unit: string): void {
    const bars = this.#bars;
    const sent = rows.columns.length;
    const lines = this.#open ? sent : Math.min(sent, FIRST);
    const others = rows.others + sent - lines;
    this.#kinds.forEach((kind, i) => setAttribute(kind, "aria-pressed", String(bars === (i === 1))));
    setAttribute(this.#list, "data-swarm", bars ? undefined : "1");
    this.#fillList(
      rows.columns.slice(0, lines).map((column) => columnName(view, column)),
      rows.sizes,
    );
    setText(this.#others, others ? `and ${counted(others)} ${others === 1 ? "other" : "others"}` : "");
    this.#more.hidden = sent <= FIRST;
    setText(this.#more, this.#open ? "Show fewer" : `Show ${sent - FIRST} more`);
    const what = bars
      ? "Mean size over the rows:"
      : "Each dot is a row (the one on show is ringed), and lies at its";
    setText(this.#unit, `${what} ${unit === "" ? "attribution" : unit}`);
    this.#legend.hidden = bars;
    this.#missing.hidden = rows.values.every((values) => values.every(Number.isFinite));
    this.#swarm.node.hidden = bars;
    if (!bars) this.#swarm.show(view, rows, lines);
  }

  #fillList(names: readonly string[], sizes: readonly number[]): void {
    const key = JSON.stringify([names, sizes]);
    if (key === this.#listed) return;
    this.#listed = key;
    const largest = Math.max(...sizes);
    this.#list.replaceChildren(...names.map((name, i) => line(name, sizes[i] ?? NaN, largest)));
  }
}

/** A column by its name and the mean size of its attributions, with a bar for that. */
function line(name: string, size: number, largest: number): HTMLElement {
  const amount = h("div", { class: "as-amount" });
  setVariable(amount, "--as-to", largest > 0 ? size / largest : 0);
  const track = h("div", { class: "as-track" }, amount);
  return h("li", {}, clipped("as-rows-name", name), track, h("span", { class: "as-number" }, number(size)));
}
