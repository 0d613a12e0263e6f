/** The numbers behind the picture: the map summed up in cells, as a real table. */
import { regionsOf, span } from "../data/regions";
import { disclosure, freshId } from "../lib/disclosure";
import { h } from "../lib/dom";
import { aligned } from "../lib/format";
import type { Field, Displayed } from "../selection/displayed";

const CELLS = 8;

export interface TableContent {
  readonly columns: readonly string[];
  readonly rows: readonly { readonly name: string; readonly cells: readonly string[] }[];
}

/** Sums of a map in at most 8 x 8 cells, named by the picture's pixels. */
export function tableContent(field: Field, width: number, height: number): TableContent {
  const { columns, rows, sums } = regionsOf(field.w, field.h, (i) => field.valueAt(i), CELLS, CELLS);
  const texts = aligned(Array.from(sums));
  const wide = Array.from({ length: columns }, (_, i) => i);
  return {
    columns: wide.map((i) => span(i, columns, width)),
    rows: Array.from({ length: rows }, (_, row) => ({
      name: span(row, rows, height),
      cells: wide.map((i) => texts[row * columns + i]!),
    })),
  };
}

export class DataTable {
  readonly button: HTMLButtonElement;
  readonly panel: HTMLElement;
  readonly #caption = h("div", { class: "as-note", id: freshId(), dir: "auto" });
  readonly #columns = h("tr");
  readonly #body = h("tbody");
  readonly #isOpen: () => boolean;

  /** `wanted` runs when the table is opened and has to be filled. */
  constructor(signal: AbortSignal, wanted: () => void) {
    const opener = disclosure("Data table", "as-data", signal, (open) => {
      if (open) wanted();
    });
    this.button = opener.button;
    this.panel = opener.panel;
    this.#isOpen = () => opener.open;
    this.panel.append(
      this.#caption,
      h(
        "div",
        { class: "as-scroll", tabindex: 0, role: "region", "aria-label": "Data table, scrolls sideways" },
        h(
          "table",
          { class: "as-table", "aria-labelledby": this.#caption.id },
          h("thead", {}, this.#columns),
          this.#body,
        ),
      ),
    );
  }

  /** Fills the table, if anybody looks at it. */
  show({ field: drawn, picture, title }: Displayed): void {
    if (!this.#isOpen()) return;
    const field = drawn?.whole ?? drawn;
    this.#caption.textContent = field ? `${title}: sums over parts of the picture` : "No map to sum up";
    const content = field && tableContent(field, picture?.w ?? field.w, picture?.h ?? field.h);
    this.#columns.replaceChildren();
    this.#body.replaceChildren();
    if (!content) return;
    this.#columns.append(
      h("th", { scope: "col" }, "y \\ x"),
      ...content.columns.map((name) => h("th", { scope: "col" }, name)),
    );
    this.#body.append(
      ...content.rows.map(({ name, cells }) =>
        h("tr", {}, h("th", { scope: "row" }, name), ...cells.map((text) => h("td", {}, text))),
      ),
    );
  }
}
