/** The numbers of the compared methods of a table: the same columns in each tile, in the order of the map on show. */
import { describe, expect, it } from "vitest";
import type { RawComparison } from "../../src/state/messages.generated";
import { halves } from "../support/layer-traits";
import { tableRequest, tableTraits } from "../support/table-traits";
import { comparedMethod } from "../support/trust";
import { all, render, useViews, view } from "../support/view";

useViews();

const COMPARISON: RawComparison = {
  request: tableRequest,
  settings: {},
  final: true,
  metrics: [{ name: "deletion", arrow: "↓", better: "lower", doc: "" }],
  methods: [
    comparedMethod("Saliency", [1], { map: { shape: [1, 5], scale: 1, data: halves(-1, 0, 2, 0.5, 0) } }),
    comparedMethod("Broken", [2], { map: undefined as never }),
  ],
};

/** Of each bar of a tile its sign and where it lies. */
const bars = (tile: number): string[] =>
  [...all(".as-tile")[tile]!.querySelectorAll<HTMLElement>(".as-tile-bar")].map(({ dataset, style }) => {
    const [from, to] = ["from", "to"].map((end) => Number(style.getPropertyValue(`--as-${end}`)).toFixed(2));
    return `${dataset.sign!} ${from!} ${to!}`;
  });

describe("the tiles of a table", () => {
  it("have bars for the columns that the map on show ranks highest", () => {
    render(tableTraits({ comparison: COMPARISON }));
    // Columns 2, 0, 4, 1 and 3 of the map on show; this method's lie between −1 and 2.
    expect(bars(0)).toEqual(["+ 0.33 1.00", "- 0.00 0.33", "+ 0.33 0.33", "+ 0.33 0.33", "+ 0.33 0.50"]);
    expect(bars(1)).toEqual([]);
    expect(all(".as-tile canvas")).toEqual([]);
  });

  it("keep their columns in the table's order while there is no map", () => {
    render(tableTraits({ comparison: COMPARISON }));
    view.model.receive({ heat: {} });
    view.frame();
    expect(bars(0)[0]).toBe("- 0.00 0.33");
  });
});
