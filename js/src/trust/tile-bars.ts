/** A method's numbers of a few columns as small bars: what a tile shows of a row of a table. */
import type { SmallMap } from "../data/small-map";
import { barSpan } from "../lib/bars";
import { h, setAttribute, setVariable } from "../lib/dom";

/** So many bars are told apart in a tile. */
export const MOST_BARS = 8;

export class TileBars {
  readonly node = h("span", { class: "as-tile-map as-tile-bars", "aria-hidden": "true" });
  #drawn: readonly unknown[] = [];

  /** Draws the same columns for each method, each method on a scale of its own. */
  draw(map: SmallMap | undefined, columns: readonly number[]): void {
    if (map === this.#drawn[0] && columns === this.#drawn[1]) return;
    this.#drawn = [map, columns];
    const values = map ? columns.map((column) => map.values[column] ?? NaN) : [];
    const low = Math.min(0, ...values.filter(Number.isFinite));
    const high = Math.max(0, ...values.filter(Number.isFinite));
    this.node.replaceChildren(
      ...values.map((value) => {
        const bar = h("span", { class: "as-tile-bar" });
        const { from, to } = barSpan(value, low, high);
        setVariable(bar, "--as-from", from.toFixed(4));
        setVariable(bar, "--as-to", to.toFixed(4));
        setAttribute(bar, "data-sign", value < 0 ? "-" : "+");
        return bar;
      }),
    );
  }
}
