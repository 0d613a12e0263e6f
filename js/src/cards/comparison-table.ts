/** The table of methods by metrics. */
import { whyOff } from "../controls/needs-kernel";
import { freshId } from "../lib/disclosure";
import { h, setAttribute } from "../lib/dom";
import { button } from "../lib/form-controls";
import { aligned } from "../lib/format";
import { pickMethod } from "../selection/methods";
import type { State } from "../state/state";
import type { ComparedMethod, RawComparison } from "../state/traits";

export interface ComparisonTable {
  readonly element: HTMLElement;
  fill(raw: RawComparison, title: string): void;
  /** Marks the line of the method that is on show, and says whether others can be picked. */
  showState(): void;
}

/** Why values are missing: each reason once, with the number that stands for it in the table. */
export function footnotes(methods: readonly ComparedMethod[]): Map<string, number> {
  const found = new Map<string, number>();
  for (const note of methods.flatMap(({ notes }) => notes)) {
    if (note && !found.has(note)) found.set(note, found.size + 1);
  }
  return found;
}

/** The texts of each column of values, aligned with each other; a dash where there is none. */
export function columnsOf(methods: readonly ComparedMethod[], count: number): string[][] {
  return Array.from({ length: count }, (_, j) => {
    const values = methods.map(({ values }) => values[j] ?? NaN);
    const texts = aligned(values);
    return values.map((value, i) => (Number.isFinite(value) ? texts[i]! : "–"));
  });
}

const forReaders = (text: string): HTMLElement => h("span", { class: "as-sizeless" }, text);

export function comparisonTable(state: State): ComparisonTable {
  const caption = h("caption", { class: "as-unseen", dir: "auto" });
  const heads = h("tr");
  const body = h("tbody");
  const notes = h("ol", { class: "as-footnotes", id: freshId() });
  const element = h(
    "div",
    {},
    h(
      "div",
      { class: "as-scroll", tabindex: 0, role: "region", "aria-label": "Comparison, scrolls sideways" },
      h("table", { class: "as-table" }, caption, h("thead", {}, heads), body),
    ),
    notes,
  );
  let lines: { readonly name: string; readonly row: HTMLElement; readonly pick: HTMLElement }[] = [];
  let life = new AbortController();
  state.signal.addEventListener("abort", () => life.abort());

  const line = (method: ComparedMethod, cells: HTMLElement[]): HTMLElement => {
    const { name, label, control } = method;
    const pick = control
      ? h("span", { class: "as-control" }, h("bdi", {}, label), " (control)")
      : button("as-link", "", life.signal, () => pickMethod(state, name));
    if (!control) pick.append(h("bdi", {}, label));
    const row = h("tr", {}, h("th", { scope: "row" }, pick), ...cells);
    lines.push({ name, row, pick });
    return row;
  };

  return {
    element,
    fill({ metrics = [], methods = [] }, title) {
      const held = lines.find(({ pick }) => pick === pick.ownerDocument.activeElement)?.name;
      life.abort();
      life = new AbortController();
      lines = [];
      caption.textContent = `${title}: methods by metrics`;
      heads.replaceChildren(
        h("th", { scope: "col" }, "Method"),
        ...metrics.map(({ name, arrow, better, doc }) => {
          const words = h("bdi", {}, name);
          const sign = h("span", { "aria-hidden": "true" }, ` ${arrow}`);
          return h("th", { scope: "col", title: doc }, words, sign, forReaders(`, ${better} is better`));
        }),
        h("th", { scope: "col", title: "Rows sent through the model to explain" }, "model calls"),
        h("th", { scope: "col", title: "Time to explain" }, "seconds"),
      );
      const known = footnotes(methods);
      const columns = columnsOf(methods, metrics.length);
      body.replaceChildren(
        ...methods.map((method, i) => {
          const cells = metrics.map((_, j) => {
            const note = method.notes[j];
            const mark = note ? h("sup", { title: note }, String(known.get(note))) : "";
            const text = columns[j]![i]!;
            if (!method.best[j]) return h("td", {}, text, mark);
            return h("td", {}, h("strong", {}, text), forReaders(" (best)"), mark);
          });
          const failed = method.values.length > 0 && method.values.every((value) => value === null);
          const costs = failed
            ? ["–", "–"]
            : [method.rows.toLocaleString("en-US"), method.seconds.toFixed(2)];
          return line(method, [...cells, ...costs.map((text) => h("td", {}, text))]);
        }),
      );
      notes.replaceChildren(...[...known.keys()].map((note) => h("li", { dir: "auto" }, note)));
      notes.hidden = known.size === 0;
      lines.find(({ name }) => name === held)?.pick.focus();
    },
    showState() {
      const why = whyOff(state.kernel);
      const present = typeof state.get("layer") === "string" ? undefined : state.get("method");
      for (const { name, row, pick } of lines) {
        setAttribute(row, "data-picked", name === present ? "1" : undefined);
        setAttribute(pick, "aria-current", name === present ? "true" : undefined);
        if (!(pick instanceof HTMLButtonElement)) continue;
        pick.disabled = why !== undefined;
        pick.title = why ?? "Show this method's map";
      }
    },
  };
}
