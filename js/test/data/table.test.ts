import { describe, expect, it } from "vitest";
import { maskOf } from "../../src/data/region";
import { columnsRegion, table } from "../../src/data/table";

describe("a row as it came", () => {
  it("has its columns with their ranges, and no number where one is missing", () => {
    const found = table({ names: ["a", "b"], values: [1, null], low: [0, null], high: [2, null], rows: 7 })!;
    expect(found.rows).toBe(7);
    expect(found.columns[0]).toEqual({ name: "a", value: 1, low: 0, high: 2 });
    expect(found.columns[1]).toEqual({ name: "b", value: NaN, low: NaN, high: NaN });
  });

  it("counts as not there where it is malformed, and for pictures", () => {
    expect(table({})).toBeUndefined();
    expect(table({ names: [], values: [] })).toBeUndefined();
    expect(table({ names: ["a", "b"], values: [1] })).toBeUndefined();
    expect(table({ names: ["a"], values: [1] })!.columns[0]!.low).toBeNaN();
  });
});

describe("columns as a region", () => {
  it("are a box for one, and runs that hold every column for several", () => {
    expect(columnsRegion([], 5)).toBeNull();
    expect(columnsRegion([4], 5)).toEqual({ kind: "box", box: [0, 4, 1, 5] });
    expect(columnsRegion([3, 1, 2, 1], 5)).toEqual({ kind: "mask", runs: [1, 3, 1] });
    expect(columnsRegion([0, 4], 5)).toEqual({ kind: "mask", runs: [0, 1, 3, 1] });
  });

  it("are the very columns again", () => {
    for (const columns of [[0], [4], [0, 1], [1, 3], [0, 2, 4], [0, 1, 2, 3, 4]]) {
      const { inside } = maskOf(columnsRegion(columns, 5)!, 5, 1, undefined)!;
      expect([...inside.keys()].filter((i) => inside[i])).toEqual(columns);
    }
  });
});
