import { describe, expect, it } from "vitest";
import type { Scale, Summary } from "../../src/data/statistics";
import { legendNotes, legendTicks } from "../../src/overlay/legend";

describe("the legend", () => {
  const scale: Scale = { limit: 0.5, clipped: 0.02, sparse: false, held: false };
  const summary: Summary = { min: -1, max: 1, sum: 0.25, peak: 3, nans: 0 };
  const rest = { mode: "blended" as const, table: undefined, heat: undefined };

  it("has numbers at both ends", () => {
    expect(legendTicks(0.5, "all")).toEqual(["−0.500", "0", "0.500"]);
    expect(legendTicks(0.5, "positive")).toEqual(["0", "0.250", "0.500"]);
  });

  it("says what is clipped, what is left out and which values are meant", () => {
    expect(legendNotes({ scale, summary, sign: "all", ...rest })).toEqual(["2.0% beyond the scale"]);
    expect(legendNotes({ scale, summary: { ...summary, nans: 3 }, sign: "negative", ...rest })).toEqual([
      "magnitude of negative values",
      "2.0% beyond the scale",
      "3 NaN, not drawn",
    ]);
    expect(legendNotes({ scale: { ...scale, sparse: true }, summary, sign: "all", ...rest })).toContain(
      "scale ends at the largest value",
    );
  });

  it("says when there is nothing to see, and why", () => {
    const none: Scale = { limit: 0, clipped: 0, sparse: false, held: false };
    const zero: Summary = { min: 0, max: 0, sum: 0, peak: 0, nans: 0 };
    expect(legendNotes({ scale: none, summary: zero, sign: "all", ...rest })).toEqual(["all zero"]);
    expect(legendNotes({ scale: none, summary, sign: "negative", ...rest })).toEqual(["no negative values"]);
    expect(
      legendNotes({ scale: none, summary: { ...zero, peak: -1, nans: 4 }, sign: "all", ...rest }),
    ).toEqual(["no finite value", "4 NaN, not drawn"]);
  });
});
