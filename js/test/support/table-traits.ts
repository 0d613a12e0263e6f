/** A whole Explorer on a row of a table: five columns, and a map that adds up from the baseline's output to the row's. */
import type { RawHeat, Request } from "../../src/state/messages.generated";
import type { Traits } from "../../src/state/traits.generated";
import { onWire, sampleTraits } from "./fake";

export const COLUMNS = ["age", "pressure", "<b>smoker</b>", "", "heart rate"] as const;
export const MAP = [1, -0.5, 2, 0.25, -0.75] as const;
/** What the map adds up to, and the outputs that it leads between. */
export const SUM = 2;
export const OUTPUT = 3;

export const tableRequest: Request = {
  method: "IntegratedGradients",
  target: 7,
  baseline: "zero",
  layer: null,
  contrast: null,
  example: 0,
  settings: {},
  effort: 0,
  edited: [],
};

export function tableHeat(changes: RawHeat = {}, values: readonly number[] = MAP): RawHeat {
  return {
    shape: [1, values.length],
    data: onWire(Float32Array.from(values)),
    title: "Integrated Gradients for cat",
    request: tableRequest,
    final: true,
    sum: SUM,
    gap: 0,
    output: OUTPUT,
    pixels: 1,
    summable: true,
    quantity: "contribution",
    tells_worth: true,
    compares: true,
    unit: "contribution to score of cat",
    ...changes,
  };
}

export function tableTraits(changes: Partial<Traits> = {}): Partial<Traits> {
  return sampleTraits({
    picture: {},
    baseline_picture: {},
    table: {
      names: COLUMNS,
      values: [63, 160, 1, null, -2.5],
      low: [20, 90, 0, 0, -5],
      high: [80, 150, 1, 10, 5],
      rows: 120,
    },
    baseline_row: [43, 100, 0, 5, -0.5],
    edited: [],
    selection: null,
    covered: {},
    heat: tableHeat(),
    path: {
      alphas: [0, 0.5, 1],
      scores: [1, 1.5, 3],
      totals: [0, 0.5, 2],
      classes: [],
      probabilities: [],
      shape: [1, 5],
      // Nothing, then a quarter of the square root of the scale, then all of it.
      maps: onWire(Int8Array.of(0, 0, 0, 0, 0, 0, 0, 127, 0, 0, 127, 0, 127, 0, 0)),
      scale: 1,
      title: "Integrated Gradients for cat",
      target_label: "cat",
      unit: "contribution to score of cat",
      request: { target: 7, baseline: "zero", contrast: null, example: 0, edited: [] },
    },
    layers: [
      { name: "", kind: "Net", parameters: 9, shape: [1, 10], depth: 0, spatial: false, layout: "vector" },
      {
        name: "fc",
        kind: "Linear",
        parameters: 9,
        shape: [1, 10],
        depth: 1,
        spatial: false,
        layout: "vector",
      },
    ],
    ...changes,
  });
}

/** A table of so many columns, each with a number that is smaller than the one before. */
export function wideTable(count: number): Partial<Traits> {
  const numbers = Array.from({ length: count }, (_, i) => i);
  const values = numbers.map((i) => (i % 2 ? -1 : 1) * 2 ** -Math.floor(i / 2));
  const sum = values.reduce((all, value) => all + value, 0);
  return {
    table: { names: numbers.map((i) => `column ${i}`), values: numbers, rows: 3 },
    heat: tableHeat({ sum }, values),
    path: {},
  };
}
