/** The layers in the order in which they run, each map once, and how they share the river. */
import { describe, expect, it } from "vitest";
import { numberAt, placeOf, stopNumbers, stopsOf, stretchesOf } from "../../src/data/layer-stops";
import type { LayerRow } from "../../src/state/messages.generated";

const row = (name: string, order: number | null, changes: Partial<LayerRow> = {}): LayerRow => ({
  name,
  kind: "Conv2d",
  parameters: 0,
  shape: [1, 8, 4, 4],
  depth: name === "" ? 0 : name.split(".").length,
  spatial: true,
  pickable: order !== null,
  order,
  same_as: null,
  ...changes,
});

/** A stem whose last layer is its output, and a tail that was made first but runs last. */
const ROWS: readonly LayerRow[] = [
  row("", 8, { spatial: false }),
  row("tail", 7, { same_as: "body.drop.conv" }),
  row("stem", 3, { same_as: "stem.act" }),
  row("stem.conv", 0),
  row("stem.act", 2),
  row("stem.pad", 1),
  row("body", 6, { same_as: "body.drop.conv" }),
  row("body.drop", 5, { same_as: "body.drop.conv" }),
  row("body.drop.conv", 4),
  row("spare", null),
];

describe("stops", () => {
  it("follow the order of execution, whatever the tree's", () => {
    expect(stopsOf(ROWS).map(({ name }) => name)).toEqual(["stem.conv", "stem.pad", "stem", "tail"]);
  });

  it("merge what hands on a tensor, under the name that is nested least", () => {
    expect(stopsOf(ROWS).map(({ members }) => members)).toEqual([
      ["stem.conv"],
      ["stem.pad"],
      ["stem", "stem.act"],
      ["tail", "body", "body.drop", "body.drop.conv"],
    ]);
    const numbers = stopNumbers(stopsOf(ROWS));
    expect(["stem.act", "stem", "body.drop", "spare", ""].map((name) => numbers.get(name))).toEqual([
      3,
      3,
      4,
      undefined,
      undefined,
    ]);
  });

  it("name the model itself only where it is alone", () => {
    const spatial = [row("", 2, { same_as: "conv" }), row("conv", 1)];
    expect(stopsOf(spatial).map(({ name }) => name)).toEqual(["conv"]);
    expect(stopsOf([row("", 0)]).map(({ name }) => name)).toEqual([""]);
  });

  it("are in the order of the tree where the kernel says no other", () => {
    const { order, same_as, ...plain } = row("b", 1);
    expect([order, same_as]).toEqual([1, null]);
    expect(stopsOf([plain, { ...plain, name: "a" }]).map(({ name }) => name)).toEqual(["b", "a"]);
  });
});

describe("stretches", () => {
  const deep = (blocks: number, inside: number): readonly LayerRow[] =>
    Array.from({ length: blocks }, (_, b) => [
      ...Array.from({ length: inside }, (_, i) => row(`blocks.${b}.${i}.conv`, b * (inside + 1) + i)),
      row(`blocks.${b}`, b * (inside + 1) + inside),
    ]).flat();

  it("are one for each stop where there are few", () => {
    const stops = stopsOf(ROWS);
    expect(stretchesOf(stops, 12)).toEqual([1, 2, 3, 4].map((i) => ({ first: i, last: i })));
    expect(stretchesOf([], 12)).toEqual([]);
  });

  it("end with what is nested least, and cover all stops", () => {
    const stops = stopsOf(deep(5, 20));
    const found = stretchesOf(stops, 12);
    expect(found).toHaveLength(12);
    const ends = found.map(({ last }) => stops[last - 1]!.name);
    for (let b = 0; b < 5; b++) expect(ends).toContain(`blocks.${b}`);
    found.forEach(({ first, last }, i) => {
      expect(first).toBe(i ? found[i - 1]!.last + 1 : 1);
      expect(last).toBeGreaterThanOrEqual(first);
    });
    expect(found.at(-1)!.last).toBe(stops.length);
  });

  it("take every so manieth of a level that is too many", () => {
    const stops = stopsOf(deep(300, 2));
    const found = stretchesOf(stops, 12);
    expect(found).toHaveLength(12);
    expect(found.every(({ last }) => /^blocks\.\d+$/.test(stops[last - 1]!.name))).toBe(true);
    const gaps = found.map(({ first, last }) => last - first + 1).slice(0, -1);
    expect(Math.max(...gaps)).toBeLessThan(3 * Math.min(...gaps));
  });

  it("give each stop a place, from which it is found again", () => {
    const stretches = stretchesOf(stopsOf(deep(9, 13)), 12);
    const count = stretches.at(-1)!.last;
    let before = -1;
    for (let number = 0; number <= count; number++) {
      const place = placeOf(stretches, number);
      expect(place).toBeGreaterThan(before);
      expect(numberAt(stretches, place)).toBe(number);
      before = place;
    }
    expect(before).toBeLessThan(1);
    expect([-1, 0, 2, 1].map((share) => numberAt(stretches, share))).toEqual([0, 0, count, count]);
  });
});
