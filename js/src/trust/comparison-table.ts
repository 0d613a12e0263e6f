/** The table of methods by metrics. */
import { whyOff } from "../controls/needs-kernel";
import { freshId } from "../lib/disclosure";
import { focusNear, h, setAttribute } from "../lib/dom";
import { button } from "../lib/form-controls";
import { aligned } from "../lib/format";
import { isShown, pickCompared } from "../selection/methods";
import type { State } from "../state/state";
import type { ComparedMethod, ComparedMetric, RawComparison } from "../state/messages.generated";
import type { View } from "../state/view";

/** Why values are missing: each reason once, with the number that stands for it in the table. */
export function footnotes(methods: readonly ComparedMethod[]): Map<string, number> {
  const found = new Map<string, number>();
  for (const note of methods.flatMap(({ notes }) => notes)) {
    if (note && !found.has(note)) found.set(note, found.size + 1);
  }
  return found;
}

/** The texts of each column of values, aligned with each other; a dash where there is none. */
export function columnsOf(
  methods: readonly ComparedMethod[],
  metrics: readonly Pick<ComparedMetric, "rough">[],
): string[][] {
  return metrics.map(({ rough }, j) => {
    const values = methods.map(({ values }) => values[j] ?? NaN);
    const texts = aligned(values, rough);
    return values.map((value, i) => (Number.isFinite(value) ? texts[i]! : "–"));
  });
}

const forReaders = (text: string): HTMLElement => h("span", { class: "as-sizeless" }, text);

function metricHead({ name, arrow, better, doc }: ComparedMetric): HTMLElement {
  const words = h("bdi", {}, name);
  const sign = h("span", { "aria-hidden": "true" }, ` ${arrow}`);
  return h("th", { scope: "col", title: doc }, words, sign, forReaders(`, ${better} is better`));
}

function valueCell(
  text: string,
  best: boolean,
  note: string | null,
  number: number | undefined,
): HTMLElement {
  const mark = note ? h("sup", { title: note }, String(number)) : "";
  if (!best) return h("td", {}, text, mark);
  return h("td", {}, h("strong", {}, text), forReaders(" (best)"), mark);
}

/** What explaining has cost; nothing is said of a method that failed. */
function costCells({ values, rows, seconds }: ComparedMethod): HTMLElement[] {
  const failed = values.length > 0 && values.every((value) => value === null);
  const texts = failed ? ["–", "–"] : [rows?.toLocaleString("en-US") ?? "–", seconds.toFixed(2)];
  return texts.map((text) => h("td", {}, text));
}

interface Line {
  readonly name: string;
  readonly method: ComparedMethod;
  readonly row: HTMLElement;
  readonly pick: HTMLElement;
}

export class ComparisonTable {
  readonly element: HTMLElement;
  readonly #caption = h("caption", { class: "as-unseen", dir: "auto" });
  readonly #heads = h("tr");
  readonly #body = h("tbody");
  readonly #notes = h("ol", { class: "as-footnotes", id: freshId() });
  #lines: readonly Line[] = [];
  #life = new AbortController();
  readonly #state: State;

  constructor(state: State) {
    this.#state = state;
    const caption = this.#caption;
    const heads = this.#heads;
    const body = this.#body;
    const notes = this.#notes;
    this.element = h(
      "div",
      {},
      h(
        "div",
        { class: "as-scroll", tabindex: 0, role: "region", "aria-label": "Comparison, scrolls sideways" },
        h("table", { class: "as-table" }, caption, h("thead", {}, heads), body),
      ),
      notes,
    );
    state.signal.addEventListener("abort", () => this.#life.abort());
  }

  fill({ metrics = [], methods = [] }: RawComparison, title: string): void {
    const caption = this.#caption;
    const heads = this.#heads;
    const body = this.#body;
    const notes = this.#notes;
    const held = this.#lines.find(({ pick }) => pick === focusNear(pick))?.name;
    this.#life.abort();
    this.#life = new AbortController();
    caption.textContent = `${title}: methods by metrics`;
    heads.replaceChildren(
      h("th", { scope: "col" }, "Method"),
      ...metrics.map(metricHead),
      h("th", { scope: "col", title: "Rows sent through the model to explain" }, "model calls"),
      h("th", { scope: "col", title: "Time to explain" }, "seconds"),
    );
    const known = footnotes(methods);
    const columns = columnsOf(methods, metrics);
    // What reads the same as the best is as good.
    const best = columns.map(
      (column, j) => new Set(column.filter((_, i) => methods[i]!.best[j] && methods[i]!.values[j] !== null)),
    );
    this.#lines = methods.map((method, i) => {
      const cells = metrics.map((_, j) => {
        const note = method.notes[j] ?? null;
        return valueCell(columns[j]![i]!, best[j]!.has(columns[j]![i]!), note, known.get(note ?? ""));
      });
      return this.#line(method, [...cells, ...costCells(method)]);
    });
    body.replaceChildren(...this.#lines.map(({ row }) => row));
    notes.replaceChildren(...[...known.keys()].map((note) => h("li", { dir: "auto" }, note)));
    notes.hidden = known.size === 0;
    this.#lines.find(({ name }) => name === held)?.pick.focus();
  }

  /** Marks the line of the method that is on show, and says whether others can be picked. */
  show(view: View): void {
    const why = whyOff(view.kernel);
    for (const { method, row, pick } of this.#lines) {
      const picked = !method.control && isShown(view, method);
      setAttribute(row, "data-picked", picked ? "1" : undefined);
      setAttribute(pick, "aria-current", picked ? "true" : undefined);
      if (!(pick instanceof HTMLButtonElement)) continue;
      pick.disabled = why !== undefined;
      pick.title = why ?? "Show this method's map";
    }
  }

  #line(method: ComparedMethod, cells: readonly HTMLElement[]): Line {
    const { name, label, control } = method;
    const words = h("bdi", {}, label);
    const pick = control
      ? h("span", { class: "as-control" }, words, " (control)")
      : button("as-link", "", this.#life.signal, () => pickCompared(this.#state, method));
    if (!control) pick.append(words);
    return { name, method, row: h("tr", {}, h("th", { scope: "row" }, pick), ...cells), pick };
  }
}
