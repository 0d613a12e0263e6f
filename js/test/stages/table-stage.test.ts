import { describe, expect, it } from "vitest";
import type { Traits } from "../../src/state/traits.generated";
import {
  all,
  buttonOf,
  choose,
  find,
  inputOf,
  labelled,
  press,
  render,
  useViews,
  view,
} from "../support/view";
import { tableHeat, tableTraits, wideTable } from "../support/table-traits";

useViews();

const draw = (changes: Partial<Traits> = {}): void => render(tableTraits(changes));
const rows = (): HTMLElement[] => all(".as-column");
const names = (): string[] => all(".as-column-name").map((one) => one.textContent);
const numbers = (): string[] => all(".as-fall-number").map((one) => one.textContent);
const picks = (): HTMLElement[] => all(".as-column-pick");
const cell = (name: string): HTMLInputElement => inputOf(`Value of ${name}`);
/** Where each bar lies, in shares of the track. */
const bars = (): string[] =>
  all(".as-fall").map(({ style }) =>
    ["--as-from", "--as-to"].map((name) => Number(style.getPropertyValue(name)).toFixed(3)).join(" to "),
  );

function typeInto(input: HTMLInputElement, text: string): void {
  input.focus();
  input.value = text;
}

describe("a row of a table", () => {
  it("stands in the place of the picture, with nothing that is for pictures", () => {
    draw();
    expect(all(".as-overlay, .as-stage, canvas[role=img], .as-brushes, .as-sliders")).toEqual([]);
    expect(buttonOf("Style")).toBeUndefined();
    expect(find(".as-left > .as-head .as-title").textContent).toBe("Integrated Gradients for cat");
    expect(buttonOf("Refine")).toBeDefined();
  });

  it("is a waterfall from the baseline's output to the row's, the largest first", () => {
    draw();
    expect(find(".as-fall-ends").textContent).toBe(
      "baseline +1.00contribution to score of catthis row +3.00",
    );
    expect(names()).toEqual(["<b>smoker</b>", "age", "heart rate", "pressure", "column 3"]);
    expect(numbers()).toEqual(["+2.00", "+1.00", "−0.75", "−0.50", "+0.25"]);
    // From 1 over 3, 4, 3.25 and 2.75 to 3, on a scale from 1 to 4.
    expect(bars()).toEqual([
      "0.000 to 0.667",
      "0.667 to 1.000",
      "0.750 to 1.000",
      "0.583 to 0.750",
      "0.583 to 0.667",
    ]);
    expect(rows().map(({ dataset }) => dataset.sign)).toEqual(["+", "+", "-", "-", "+"]);
    expect(picks()[1]!.getAttribute("aria-label")).toBe("age, 63, +1.00");
    expect(picks()[4]!.getAttribute("aria-label")).toBe("column 3, missing, +0.25");
  });

  it("says in a last step what is not explained", () => {
    draw({ heat: tableHeat({ gap: -1 }) });
    expect([names().at(-1), numbers().at(-1)]).toEqual(["not explained", "+1.00"]);
    expect(find(".as-finding").dataset.doubt).toBe("1");
    expect(find(".as-fall-start").textContent).toBe("baseline 0");
  });

  it("has bars from zero where the numbers add up to no change", () => {
    draw({ heat: tableHeat({ quantity: "gradient", tells_worth: false, unit: "gradient of score of cat" }) });
    expect(find(".as-fall-start").textContent).toBe("");
    // Between −0.75 and 2.
    expect(bars().slice(0, 3)).toEqual(["0.273 to 1.000", "0.273 to 0.636", "0.000 to 0.273"]);
    expect(find(".as-finding").textContent).toBe("44.4% of the map lies in <b>smoker</b>.");
  });

  it("says in a sentence which columns speak for what is explained, and against it", () => {
    draw();
    expect(find(".as-finding").textContent).toBe(
      "<b>smoker</b> speaks most for cat: +2.00 of 2.00; heart rate against it: −0.750.",
    );
    expect(find(".as-table-notes").textContent).toBe("sum +2.00 · gap 0");
  });

  it("is ordered as the table where that is wanted", () => {
    draw();
    choose("Order of columns", "table");
    view.frame();
    expect(numbers()).toEqual(["+1.00", "−0.50", "+2.00", "+0.25", "−0.75"]);
    expect(view.model.saves).toEqual([]);
  });

  it("tells why there is no map, and keeps its values", () => {
    draw({ heat: {}, layer: "fc" });
    expect(find(".as-finding").textContent).toContain("layer fc gives 10 numbers");
    expect(numbers()).toEqual(["", "", "", "", ""]);
    expect(all(".as-fall[data-empty]")).toHaveLength(5);
    expect(cell("age").value).toBe("63");
    expect(find(".as-left .as-title").textContent).toBe("Row");
  });

  it("marks what answers other choices", () => {
    draw({ target: 2 });
    expect(find(".as-left .as-tag").textContent).toBe("updating");
    expect(find(".as-finding").textContent).toBe("");
  });

  it("walks along the path, with the values on the way", () => {
    draw({ alpha: 0.5 });
    expect(find(".as-fall-start").textContent).toBe("baseline +1.00");
    expect(find(".as-fall-end").textContent).toBe("accumulated to α = 0.50: +1.50");
    expect(cell("age").value).toBe("53"); // between 43 and 63
    expect(cell("age").readOnly).toBe(true);
    expect(cell("column 3").value).toBe("");
    view.model.receive({ alpha: 1 });
    view.frame();
    expect(cell("age").value).toBe("63");
    expect(cell("age").readOnly).toBe(false);
  });
});

describe("many columns", () => {
  it("show the largest, and the others as one step that opens", () => {
    draw(wideTable(40));
    expect(rows()).toHaveLength(13);
    expect([names()[12], numbers()[12]]).toEqual(["28 others", "0.00"]);
    expect(find(".as-column[data-kind=others] [role=button]").getAttribute("aria-expanded")).toBe("false");
    picks()[12]!.click();
    view.frame();
    expect(all(".as-column[data-kind=others]")).toEqual([]);
    expect(names()).toContain("column 20");
    expect(document.activeElement!.textContent).toBe("column 12"); // the first of them
    buttonOf("Fewer").click();
    view.frame();
    expect(rows()).toHaveLength(13);
  });

  it("are in the document only where they are seen", () => {
    draw(wideTable(500));
    picks()[12]!.click();
    view.frame();
    expect(rows().length).toBeLessThan(60);
    press(picks()[0]!, "End");
    expect(document.activeElement!.textContent).toBe("column 499");
    expect(rows().length).toBeLessThan(60);
  });
});

describe("asking about columns", () => {
  const selection = (): unknown => view.model.values.selection;

  it("takes one by click, lets go of it by another, and more with Shift", () => {
    draw();
    picks()[0]!.click();
    view.frame();
    expect(selection()).toEqual({ kind: "box", box: [0, 2, 1, 3] });
    expect(picks().map((one) => one.getAttribute("aria-pressed"))).toEqual([
      "true",
      "false",
      "false",
      "false",
      "false",
    ]);
    picks()[2]!.dispatchEvent(new MouseEvent("click", { bubbles: true, shiftKey: true }));
    view.frame();
    expect(selection()).toEqual({ kind: "mask", runs: [2, 1, 1, 1] });
    picks()[1]!.dispatchEvent(new MouseEvent("click", { bubbles: true, ctrlKey: true }));
    view.frame();
    expect(selection()).toEqual({ kind: "mask", runs: [0, 1, 1, 1, 1, 1] });
    picks()[0]!.dispatchEvent(new MouseEvent("click", { bubbles: true, shiftKey: true }));
    view.frame();
    expect(selection()).toEqual({ kind: "mask", runs: [0, 1, 3, 1] });
    picks()[1]!.click(); // of several, only this one
    view.frame();
    expect(selection()).toEqual({ kind: "box", box: [0, 0, 1, 1] });
    picks()[1]!.click();
    view.frame();
    expect(selection()).toBeNull();
  });

  it("goes by keys, too", () => {
    draw();
    picks()[0]!.focus();
    press(document.activeElement!, "ArrowDown");
    expect(document.activeElement).toBe(picks()[1]);
    expect(picks().map(({ tabIndex }) => tabIndex)).toEqual([-1, 0, -1, -1, -1]);
    press(document.activeElement!, "Enter");
    press(document.activeElement!, "ArrowUp");
    press(document.activeElement!, " ", { shiftKey: true });
    view.frame();
    expect(selection()).toEqual({ kind: "mask", runs: [0, 1, 1, 1, 2] });
    press(document.activeElement!, "Delete");
    view.frame();
    expect(selection()).toBeNull();
  });

  it("is answered in the words of a table", () => {
    draw();
    expect(find(".as-invitation").textContent).toBe(
      "Click a column: what the map says it is worth, and what covering it costs.",
    );
    picks()[1]!.click();
    view.frame();
    expect(find(".as-covered .as-note").textContent).toBe("age: 1 of 5 columns");
    expect(find(".as-covered-sentence").textContent).toContain("The map says it is worth +1.00; ");
    picks()[2]!.dispatchEvent(new MouseEvent("click", { bubbles: true, shiftKey: true }));
    view.frame();
    expect(find(".as-covered .as-note").textContent).toBe("2 of 5 columns: age, heart rate");
    expect(find(".as-covered-sentence").textContent).toContain("The map says it is worth +0.250; ");
  });
});

describe("editing a cell", () => {
  it("asks with another value, and again with what was there for none", () => {
    draw();
    typeInto(cell("age"), "70");
    press(cell("age"), "Enter");
    view.frame();
    expect(view.model.saves).toEqual([{ edited: [[0, 70]] }]);
    expect(find(".as-left .as-tag").textContent).toBe("updating");
    expect(buttonOf("Undo edits").title).toBe("1 cell edited · was 63");
    // The kernel's answer has the edit in it: what was there before is still known.
    view.model.receive({ table: { ...tableTraits().table, values: [70, 160, 1, null, -2.5] } });
    view.frame();
    typeInto(cell("pressure"), "−2.5e1");
    cell("pressure").blur();
    view.frame();
    expect(view.model.saves[1]).toEqual({
      edited: [
        [0, 70],
        [1, -25],
      ],
    });
    expect(buttonOf("Undo edits").title).toBe("2 cells edited · age was 63, pressure was 160");
    typeInto(cell("age"), "63.0");
    press(cell("age"), "Enter");
    view.frame();
    expect(view.model.saves[2]).toEqual({ edited: [[1, -25]] });
    buttonOf("Undo edits").click();
    view.frame();
    expect(view.model.saves[3]).toEqual({ edited: [] });
    expect(buttonOf("Undo edits").hidden).toBe(true);
    expect([cell("age").value, cell("pressure").value]).toEqual(["63", "160"]); // at once
  });

  it("refuses what is no number where it was typed, and sends nothing", () => {
    draw();
    typeInto(cell("age"), "old");
    cell("age").blur();
    view.frame();
    expect(find(".as-left .as-refusal").textContent).toBe("age must be a number, but old came");
    expect(cell("age").getAttribute("aria-invalid")).toBe("true");
    expect(cell("age").value).toBe("old");
    expect(view.model.saves).toEqual([]);
    cell("age").focus();
    press(cell("age"), "Escape");
    expect(cell("age").value).toBe("63");
    expect(find(".as-left .as-refusal").hidden).toBe(true);
    expect(cell("age").getAttribute("aria-invalid")).toBeNull();
  });

  it("says what the kernel refuses", () => {
    draw();
    view.model.receive({ refused: { trait: "edited", reason: "edited must be columns", count: 1 } });
    view.frame();
    expect(find(".as-left .as-refusal").textContent).toBe("edited must be columns");
  });

  it("steps by a twentieth of the column's range", () => {
    draw();
    cell("age").focus();
    press(cell("age"), "ArrowUp");
    press(cell("age"), "ArrowUp");
    view.frame();
    expect(view.model.values.edited).toEqual([[0, 69]]); // 3 of 60, twice
    press(cell("age"), "ArrowDown");
    expect(view.model.values.edited).toEqual([[0, 66]]);
    expect(cell("age").value).toBe("66");
  });

  it("leaves what is typed as it is, and does nothing where nothing was typed", () => {
    draw();
    typeInto(cell("age"), "7");
    view.model.receive({ progress: 0.5, heat: tableHeat({ sum: 2.5 }) });
    view.frame();
    expect(cell("age").value).toBe("7");
    press(cell("age"), "Escape");
    cell("age").blur();
    cell("pressure").focus();
    cell("pressure").blur();
    view.frame();
    expect(view.model.saves).toEqual([]);
  });

  it("keeps the columns where they are while somebody types or goes step by step", () => {
    draw();
    cell("age").focus();
    press(cell("age"), "ArrowUp");
    const other = tableHeat({}, [9, 1, 0, 0, 0]);
    view.model.receive({ heat: other });
    view.frame();
    expect(names()[0]).toBe("<b>smoker</b>");
    expect(document.activeElement).toBe(cell("age"));
    press(cell("age"), "Enter");
    view.frame();
    expect(names()[0]).toBe("age");
    expect(document.activeElement).toBe(cell("age"));
    typeInto(cell("age"), "7");
    view.model.receive({ heat: tableHeat() });
    view.frame();
    expect(names()[0]).toBe("age");
    cell("age").blur();
    view.frame();
    expect(names()[0]).toBe("<b>smoker</b>");
  });

  it("says which values no row has had", () => {
    draw();
    const outside = (name: string): string | undefined => cell(name).parentElement!.dataset.outside;
    expect(outside("pressure")).toBe("1");
    expect(cell("pressure").title).toContain("outside the range of the 120 rows, 90 to 150");
    expect(outside("age")).toBeUndefined();
    expect(cell("column 3").placeholder).toBe("missing");
  });

  it("shows all digits to whoever is in the field", () => {
    const single = Math.fround(0.123456);
    draw({ table: { ...tableTraits().table, values: [single, 160, 1, null, -2.5] } });
    expect(cell("age").value).toBe("0.123");
    cell("age").focus();
    expect(cell("age").value).toBe("0.123456");
    expect(cell("heart rate").value).toBe("−2.5");
  });

  it("forgets what was there with another example", () => {
    draw({ examples: [0, 1].map((i) => ({ label: `Row ${i}`, picture: {} })) });
    typeInto(cell("age"), "70");
    press(cell("age"), "Enter");
    view.model.receive({
      example: 1,
      edited: [],
      table: { ...tableTraits().table, values: [20, 1, 1, 1, 1] },
    });
    view.frame();
    expect(cell("age").value).toBe("20");
    expect(buttonOf("Undo edits").hidden).toBe(true);
  });

  it("takes a kernel", () => {
    draw({ _live: false });
    expect(cell("age").readOnly).toBe(true);
    expect(cell("age").title).toContain("saved without its kernel");
  });
});

describe("the words of a table", () => {
  it("say row and columns where those of a picture say picture and pixels", () => {
    draw({ examples: [0, 1].map((i) => ({ label: `Row ${i}`, picture: {} })) });
    expect(find(".as-end-finish").textContent).toBe("this row");
    expect(labelled("Seen at").textContent).toBe("the columns");
    expect(find(".as-example-count").textContent).toBe("2 rows");
    expect(all(".as-example canvas")).toEqual([]);
    expect(find("[role=tab]").title).toBe("Which columns made the model say so");
    const shown = [...all("*"), view.el].flatMap((one) => [
      one.title,
      one.getAttribute("aria-label") ?? "",
      ...[...one.childNodes].map((node) => (node instanceof Text ? node.data : "")),
    ]);
    expect(shown.filter((text) => /picture|pixel/i.test(text))).toEqual([]);
  });

  it("name an example by its row and what is said of it", () => {
    const known = { label: "cat", amount: 0.9, kind: "probability" } as const;
    draw({
      examples: [0, 1].map((i) => ({ label: `Row ${i}`, picture: {} })),
      example_predictions: [known, {}],
    });
    expect(all(".as-example-name").map((one) => one.textContent)).toEqual(["Row 0: cat 90%", "Row 1"]);
  });
});
