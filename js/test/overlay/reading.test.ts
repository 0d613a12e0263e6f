/** What stands behind the picture for people who read or listen: regions, table, words, announcements. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { regionsOf, span, strongest } from "../../src/data/regions";
import { Announcer, QUIET_MS } from "../../src/lib/announcer";
import { tableContent } from "../../src/overlay/data-table";
import type { Field } from "../../src/selection/displayed";
import { noise, sampleTraits } from "../support/fake";
import { all, buttonOf, draw, find, useViews, view } from "../support/view";

const fieldOf = (w: number, h: number, values: Float32Array): Field => ({
  w,
  h,
  extent: { w, h },
  side: 1,
  source: values,
  alpha: 1,
  reference: values,
  valueAt: (i) => values[i]!,
  paint: () => undefined,
});

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("regions", () => {
  it.each([
    [7, 5, 3, 3],
    [16, 16, 8, 8],
    [3, 2, 8, 8],
    [100, 1, 8, 8],
  ])("of %i by %i values hold each value exactly once", (w, h, columns, rows) => {
    const values = noise(w * h);
    const regions = regionsOf(w, h, (i) => values[i]!, columns, rows);
    expect([regions.columns, regions.rows]).toEqual([Math.min(w, columns), Math.min(h, rows)]);
    const total = (one: ArrayLike<number>): number => Array.from(one).reduce((a, b) => a + b, 0);
    expect(total(regions.sums)).toBeCloseTo(total(values));
    expect(total(regions.sizes)).toBeCloseTo(total(values.map(Math.abs)));
    // The names of the parts are those of the pixels that fall into them.
    const ones = regionsOf(w, h, () => 1, columns, rows);
    for (let row = 0; row < ones.rows; row++) {
      for (let column = 0; column < ones.columns; column++) {
        const count = (text: string): number => {
          const [first, last] = text.split("–").map(Number) as [number, number?];
          return (last ?? first) - first + 1;
        };
        const pixels = count(span(column, ones.columns, w)) * count(span(row, ones.rows, h));
        expect(ones.sums[row * ones.columns + column]).toBe(pixels);
      }
    }
  });

  it("leave out what is no number", () => {
    const { sums } = regionsOf(2, 1, (i) => [NaN, 3][i]!, 1, 1);
    expect([...sums]).toEqual([3]);
  });

  it("tell the strongest part in words", () => {
    const at = (index: number, value: number, shares = false): string | undefined =>
      strongest(
        regionsOf(3, 3, (i) => (i === index ? value : i === 8 ? 1 : 0), 3, 3),
        shares,
        2,
      );
    expect(at(2, 3)).toBe("The strongest ninth is the top right, with 75.0% of the map.");
    expect(at(4, -9)).toContain("the centre, with 90.0%");
    expect(at(0, 0)).toContain("the bottom right, with 100.0%");
    // What is shared out goes by its sums, as the sentence that is seen: not by what cancels.
    expect(at(4, -9, true)).toBe(
      "The ninth that speaks most for the output is the bottom right (sum +2.00); most against it the centre (sum −18.0).",
    );
    expect(at(2, 3, true)).toBe("The ninth that speaks most for the output is the top right (sum +6.00).");
    expect(at(8, -1, true)).toBe(
      "No ninth speaks for the output; most against it the bottom right (sum −2.00).",
    );
    expect(
      strongest(
        regionsOf(3, 3, () => 0, 3, 3),
        true,
      ),
    ).toBeUndefined();
    expect(
      strongest(
        regionsOf(2, 2, () => 1, 3, 3),
        true,
      ),
    ).toBeUndefined();
  });
});

describe("the data table", () => {
  it("sums cells and names them by the picture's pixels", () => {
    const content = tableContent(fieldOf(16, 16, new Float32Array(256).fill(0.5)), 224, 112);
    expect(content.columns).toHaveLength(8);
    expect(content.columns.slice(0, 2)).toEqual(["0–27", "28–55"]);
    expect(content.rows.map(({ name }) => name).slice(0, 2)).toEqual(["0–13", "14–27"]);
    expect(content.rows[0]!.cells).toEqual(Array<string>(8).fill("2.00"));
  });

  it("has a row for each row of a tiny map", () => {
    expect(tableContent(fieldOf(3, 2, Float32Array.of(1, 2, 3, 4, 5, 6)), 3, 2)).toEqual({
      columns: ["0", "1", "2"],
      rows: [
        { name: "0", cells: ["1.00", "2.00", "3.00"] },
        { name: "1", cells: ["4.00", "5.00", "6.00"] },
      ],
    });
  });
});

describe("behind the picture", () => {
  useViews();
  const summary = (): string =>
    document.getElementById(find("canvas[role=img]").getAttribute("aria-describedby")!)!.textContent;

  it("are words, once the picture rests", () => {
    draw();
    expect(summary()).toBe("");
    vi.advanceTimersByTime(300);
    expect(summary()).toContain("The attributions sum to 0.250. As an estimate: gap +0.0100.");
    view.model.receive({ alpha: 0.5 });
    view.frame();
    view.model.receive({ alpha: 0.6 });
    view.frame();
    vi.advanceTimersByTime(200);
    expect(summary()).toContain("sum to 0.250"); // not for every frame of a walk
    vi.advanceTimersByTime(100);
    expect(summary()).not.toContain("0.250");
  });

  it("is a table, for whoever opens it, of what is shown now", () => {
    const title = "<i>map</i>";
    draw({ heat: { ...sampleTraits().heat, title } });
    expect(all("td")).toHaveLength(0);
    buttonOf("Data table").click();
    expect(all("td").map((cell) => cell.textContent)).toEqual([
      "−1.00",
      "−0.50",
      "0.00",
      "0.25",
      "0.50",
      "1.00",
    ]);
    expect(all("th[scope=col]")).toHaveLength(4);
    expect(all("th[scope=row]")).toHaveLength(2);
    const name = document.getElementById(find("table").getAttribute("aria-labelledby")!)!;
    expect(name.textContent).toBe(`${title}: sums over parts of the picture`);
    view.model.receive({ heat: {} });
    view.frame();
    vi.advanceTimersByTime(300);
    expect(all("td")).toHaveLength(0);
    expect(name.textContent).toBe("No map to sum up");
  });
});

describe("the announcer", () => {
  const make = (): { say: Announcer["say"]; heard: () => string; life: AbortController } => {
    const life = new AbortController();
    const announcer = new Announcer(life.signal);
    return {
      say: (text, urgent) => announcer.say(text, urgent),
      heard: () => announcer.element.textContent,
      life,
    };
  };

  it("says progress at most every few seconds, and then the latest", () => {
    const { say, heard } = make();
    say("1 of 50", false);
    expect(heard()).toBe("1 of 50");
    for (let i = 2; i < 40; i++) {
      vi.advanceTimersByTime(100);
      say(`${i} of 50`, false);
    }
    expect(heard()).toBe("1 of 50");
    vi.advanceTimersByTime(QUIET_MS);
    expect(heard()).toBe("39 of 50");
  });

  it("says what is urgent at once, and nothing old after it", () => {
    const { say, heard } = make();
    say("Computing", true);
    say("24 of 50", false);
    say("Cancelled", true);
    expect(heard()).toBe("Cancelled");
    vi.advanceTimersByTime(3 * QUIET_MS);
    expect(heard()).toBe("Cancelled");
  });

  it("leaves no timer behind", () => {
    const { say, life } = make();
    say("1", false);
    say("2", false);
    expect(vi.getTimerCount()).toBe(1);
    life.abort();
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("the status", () => {
  useViews();

  it("is seen at once and said with pauses", () => {
    draw();
    const said = (): string => find("[role=status]").textContent;
    const seen = (): string => find(".as-status").textContent;
    view.model.receive({ status: "running", message: "1 of 50" });
    view.frame();
    expect([seen(), said()]).toEqual(["1 of 50", "1 of 50"]);
    view.model.receive({ message: "2 of 50" });
    view.frame();
    expect([seen(), said()]).toEqual(["2 of 50", "1 of 50"]);
    view.model.receive({ status: "idle", message: "" });
    view.frame();
    expect([seen(), said()]).toEqual(["", "Ready"]); // nothing goes on: to be heard alone
  });
});
