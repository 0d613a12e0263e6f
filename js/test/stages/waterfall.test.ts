import { describe, expect, it } from "vitest";
import { bySize } from "../../src/data/table";
import { type Amounts, amountsOf, arrange, GAP, OTHERS, waterfall } from "../../src/stages/waterfall";
import { displayed } from "../../src/selection/displayed";
import { State } from "../../src/state/state";
import type { Traits } from "../../src/state/traits.generated";
import { FakeModel } from "../support/fake";
import { MAP, OUTPUT, SUM, tableHeat, tableTraits } from "../support/table-traits";

const amounts = (values: readonly number[], changes: Partial<Amounts> = {}): Amounts => {
  const reference = Float32Array.from(values);
  return {
    valueAt: (i) => reference[i]!,
    reference,
    start: undefined,
    end: undefined,
    missing: 0,
    ...changes,
  };
};

describe("the order of columns", () => {
  it("is by size, and what is no number comes last", () => {
    expect(bySize(Float32Array.of(1, -3, NaN, 2, -2))).toEqual([1, 3, 4, 0, 2]);
  });

  it("gives the largest a row of their own, and one alone the row where it would be counted", () => {
    const ranking = [3, 1, 0, 2];
    expect(arrange(ranking, 2, "size")).toEqual({ shown: [3, 1], others: [0, 2] });
    expect(arrange(ranking, 2, "table")).toEqual({ shown: [1, 3], others: [0, 2] });
    expect(arrange(ranking, 3, "size")).toEqual({ shown: [3, 1, 0, 2], others: [] });
    expect(arrange(ranking, 1, "size", new Set([2]))).toEqual({ shown: [3, 2], others: [1, 0] });
    expect(arrange(ranking, 1, "table", new Set([2, 3]))).toEqual({ shown: [2, 3], others: [1, 0] });
    expect(arrange(ranking, 2, "size", new Set([2]))).toEqual({ shown: [3, 1, 0, 2], others: [] });
    expect(ranking).toEqual([3, 1, 0, 2]);
  });
});

describe("a waterfall", () => {
  it("begins each step where the one before ended, from the start over the others to what is missing", () => {
    const fall = waterfall(
      { shown: [2, 0], others: [1, 3] },
      amounts([1, -0.5, 2, 0.25], { start: -1, missing: 0.5 }),
    );
    expect(fall.flows).toBe(true);
    expect(fall.steps).toEqual([
      { item: 2, value: 2, from: -1, to: 1 },
      { item: 0, value: 1, from: 1, to: 2 },
      { item: OTHERS, value: -0.25, from: 2, to: 1.75 },
      { item: GAP, value: 0.5, from: 1.75, to: 2.25 },
    ]);
    expect([fall.low, fall.high, fall.largest]).toEqual([-1, 2.25, 2]);
  });

  it("begins at zero where the numbers lead from nowhere", () => {
    const fall = waterfall({ shown: [0, 1], others: [2, 3] }, amounts([3, -1, 50, 50]));
    expect(fall.steps.map(({ from, to }) => [from, to])).toEqual([
      [0, 3],
      [0, -1],
      [0, 100],
    ]);
    // The others have no bar there: they do not set the scale.
    expect([fall.flows, fall.low, fall.high]).toEqual([false, -1, 3]);
  });

  it("takes no step where a number is missing", () => {
    const fall = waterfall({ shown: [0, 1], others: [] }, amounts([NaN, 1], { start: 2 }));
    expect(fall.steps.map(({ from, to }) => [from, to])).toEqual([
      [2, 2],
      [2, 3],
    ]);
    expect(fall.steps[0]!.value).toBeNaN();
  });

  it("keeps its scale while one walks", () => {
    const whole = amounts([2, -4], { start: 0 });
    const early = waterfall({ shown: [0, 1], others: [] }, { ...whole, valueAt: (i) => [0.5, -1][i]! });
    expect([early.low, early.high, early.largest]).toEqual([-2, 2, 4]);
  });
});

describe("what a waterfall leads between", () => {
  const of = (changes: Partial<Traits>): Amounts => {
    const { view } = new State(new FakeModel(tableTraits(changes)), new AbortController().signal);
    return amountsOf(view, displayed(view))!;
  };
  const ends = ({ start, end, missing }: Amounts): unknown[] => [start, end, missing];

  it("is the baseline's output and the row's", () => {
    expect(ends(of({}))).toEqual([OUTPUT - SUM, OUTPUT, 0]);
    expect(MAP.reduce((sum, value) => sum + value, 0)).toBe(SUM);
  });

  it("tells what is missed where that counts, and where the map is finished", () => {
    // A map that adds up to 2 where the output changes by 1.9: less than a tenth is missed.
    expect(ends(of({ heat: tableHeat({ gap: 0.1 }) }))).toEqual([OUTPUT - 1.9, OUTPUT, 0]);
    expect(ends(of({ heat: tableHeat({ gap: -1 }) }))).toEqual([OUTPUT - 3, OUTPUT, 1]);
    expect(ends(of({ heat: tableHeat({ gap: -1, final: false }) }))).toEqual([OUTPUT - 3, OUTPUT, 0]);
  });

  it("is known from the path where a method does not say what it misses", () => {
    const heat = tableHeat({ gap: null });
    expect(ends(of({ heat }))).toEqual([1, OUTPUT, 0]);
    expect(ends(of({ heat, path: {} }))).toEqual([undefined, OUTPUT, 0]);
    expect(ends(of({ heat, path: { ...tableTraits().path, request: { target: 2 } } }))[0]).toBeUndefined();
  });

  it("is nothing for numbers that lead from nowhere", () => {
    for (const heat of [
      tableHeat({ quantity: "gradient" }),
      tableHeat({ compares: false }),
      tableHeat({ sum: null }),
      tableHeat({ output: null }),
    ]) {
      expect(of({ heat }).start).toBeUndefined();
    }
  });

  it("goes along the path as far as somebody has walked", () => {
    const half = of({ alpha: 0.5 });
    expect(ends(half)).toEqual([1, 1.5, 0]);
    expect([0, 1, 2].map((i) => half.valueAt(i))).toEqual([0, 0, 1]);
    const between = of({ alpha: 0.75 });
    expect(ends(between)).toEqual([1, 2.25, 0]);
    expect([0, 1, 2].map((i) => between.valueAt(i))).toEqual([0.5, 0, 1]);
  });
});
