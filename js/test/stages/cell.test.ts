import { describe, expect, it } from "vitest";
import { cellText, exact, parseCell } from "../../src/stages/cell";

describe("a value in a cell", () => {
  it("has as many digits as tell it from others", () => {
    expect(exact(Math.fround(0.1))).toBe("0.1");
    expect(exact(Math.fround(1203.4567))).toBe("1203.4567");
    expect(exact(0.1)).toBe("0.1"); // of double precision
    expect(exact(63)).toBe("63");
    expect(exact(16777217)).toBe("16777217");
  });

  it("stands there in whole where it is short, and is missing where it is no number", () => {
    expect(["63", "−2.5", "0.333", "123457"]).toEqual([63, -2.5, 1 / 3, 123457].map(cellText));
    expect(cellText(NaN)).toBe("");
    expect(cellText(-Infinity)).toBe("−∞");
  });

  it("is read as it is written", () => {
    expect(parseCell(" −2.5 ")).toBe(-2.5);
    expect(parseCell("1e-3")).toBe(0.001);
    for (const text of ["", "  ", "1,5", "NaN", "Infinity", "12 kg", "<b>1</b>"]) {
      expect(parseCell(text)).toBeUndefined();
    }
  });
});
