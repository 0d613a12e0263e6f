/** Methods beside each other: what is asked, what stands in the table, and when it is out of date. */
import { describe, expect, it } from "vitest";
import { columnsOf, footnotes } from "../../src/trust/comparison-table";
import type { RawComparison } from "../../src/state/messages.generated";
import type { Traits } from "../../src/state/traits.generated";
import { answersItsChoices, comparedMethod as method, tagOf } from "../support/trust";
import { all, buttonOf, choose, draw, find, useViews, view } from "../support/view";

useViews();

const COMPARISON: RawComparison = {
  title: "Explanations of cat, baseline zero",
  request: { target: 7, baseline: "zero", contrast: null, example: 0 },
  settings: { IntegratedGradients: {}, Saliency: {}, random: {} },
  final: true,
  outdated: false,
  metrics: [
    { name: "deletion", arrow: "↓", better: "lower", doc: "Removes." },
    { name: "sparseness", arrow: "↑", better: "higher", doc: "" },
  ],
  methods: [
    method("IntegratedGradients", [1.25, 0.5], { label: "Integrated Gradients", best: [true, false] }),
    method("Saliency", [null, 0.75], { best: [false, true], notes: ["no <b>order</b>", null] }),
    method("random", [3, 0.1], { label: "Random numbers", control: true }),
  ],
};

const compared = (changes: Partial<RawComparison> = {}, traits: Partial<Traits> = {}): void =>
  draw({ comparison: { ...COMPARISON, ...changes }, ...traits });
const tag = (): string => tagOf("as-comparison");
const rows = (): HTMLElement[] => all(".as-comparison tbody tr");
const texts = (row: HTMLElement): string[] => [...row.children].map((cell) => cell.textContent);
const pick = (name: string): HTMLButtonElement =>
  all(".as-comparison tbody button").find((one) => one.textContent === name) as HTMLButtonElement;

describe("the card", () => {
  it("is not there where the kernel knows of no comparisons", () => {
    draw();
    expect(all(".as-comparison")).toHaveLength(0);
  });

  it("invites before there is a table, and asks", () => {
    draw({ comparison: {} });
    expect(find(".as-comparison .as-note").textContent).toMatch(
      /^Judges the chosen method and others on this picture, beside controls/,
    );
    expect(find(".as-comparison table").closest("[hidden]")).toBeTruthy();
    buttonOf("Compare").click();
    expect(view.model.sent).toEqual([{ type: "compare" }]);
  });

  it("keeps the focus of whoever pressed it, and asks once", () => {
    compared();
    const compare = buttonOf("Compare");
    compare.focus();
    compare.click();
    view.model.receive({ status: "running" });
    view.frame();
    expect(document.activeElement).toBe(compare);
    expect([compare.disabled, compare.getAttribute("aria-disabled")]).toEqual([false, "true"]);
    compare.click();
    expect(view.model.sent).toEqual([{ type: "compare" }]);
    view.model.receive({ status: "idle" });
    view.frame();
    expect(compare.hasAttribute("aria-disabled")).toBe(false);
    compare.click();
    expect(view.model.sent).toHaveLength(2);
    compare.blur();
    view.model.receive({ status: "running" });
    view.frame();
    expect(compare.disabled).toBe(true);
  });

  it("asks for nothing while something is computed, nor without a kernel", () => {
    compared({}, { status: "running" });
    expect(buttonOf("Compare").disabled).toBe(true);
    expect(buttonOf("Compare").title).toContain("cancel it");
    view.model.receive({ status: "idle" });
    view.frame();
    expect(buttonOf("Compare").disabled).toBe(false);
    view.end();
    view.el.remove();
    compared({}, { _live: false });
    expect(buttonOf("Compare").disabled).toBe(true);
    expect(pick("Saliency").disabled).toBe(true);
    expect(rows()).toHaveLength(3); // but the table is there to be read
  });

  it("explains the metrics, in words that anybody can open", () => {
    compared();
    const toggle = buttonOf("All metrics");
    expect(toggle.getAttribute("aria-expanded")).toBe("false");
    toggle.click();
    expect(toggle.getAttribute("aria-expanded")).toBe("true");
    expect(find(".as-glossary").textContent).toBe(
      "deletionRemoves. Lower is better.sparsenessHigher is better.",
    );
  });
});

describe("the table", () => {
  it("is a real one, with a caption and headers for lines and columns", () => {
    compared();
    expect(find(".as-comparison caption").textContent).toBe(
      "Explanations of cat, baseline zero: methods by metrics",
    );
    const heads = all(".as-comparison thead th");
    expect(heads.every((head) => head.getAttribute("scope") === "col")).toBe(true);
    expect(heads.map((head) => head.textContent)).toEqual([
      "Method",
      "deletion ↓, lower is better",
      "sparseness ↑, higher is better",
      "model calls",
      "seconds",
    ]);
    expect(rows().map((row) => row.firstElementChild!.getAttribute("scope"))).toEqual(["row", "row", "row"]);
    expect(texts(rows()[0]!)).toEqual(["Integrated Gradients", "1.25 (best)", "0.500", "1,200", "0.12"]);
    expect(texts(rows()[2]!)[0]).toBe("Random numbers (control)");
  });

  it("says the best not by weight alone", () => {
    compared();
    expect(all(".as-comparison strong").map((one) => one.textContent)).toEqual(["1.25", "0.750"]);
    expect(texts(rows()[1]!)[2]).toBe("0.750 (best)");
  });

  it("shows a dash for what is undefined, and why below", () => {
    compared();
    expect(texts(rows()[1]!)[1]).toBe("–1");
    expect(find(".as-footnotes").textContent).toBe("no <b>order</b>");
    expect(all(".as-footnotes b")).toHaveLength(0);
  });

  it("has no cost to tell for a method that failed", () => {
    const broken = method("Broken", [null, null], { notes: ["x", "x"], rows: 0, seconds: 0 });
    compared({ methods: [broken] });
    expect(texts(rows()[0]!).slice(1)).toEqual(["–1", "–1", "–", "–"]);
    expect(all(".as-footnotes li")).toHaveLength(1);
  });

  it("says that what reads the same as the best is as good", () => {
    const first = method("A", [1.2501, 0], { best: [true, false] });
    compared({ methods: [first, method("B", [1.2502, 0]), method("C", [1.26, 0])] });
    expect(rows().map((row) => texts(row)[1])).toEqual(["1.25 (best)", "1.25 (best)", "1.26"]);
  });

  it("shows no zero for calls that nobody has counted", () => {
    compared({ methods: [method("Own", [1, 1], { rows: null })] });
    expect(texts(rows()[0]!).slice(-2)[0]).toBe("–");
  });

  it("takes text for text", () => {
    const evil = "<img src=x onerror=alert(1)>";
    compared({
      title: evil,
      methods: [method("Saliency", [1, 2], { label: evil })],
      metrics: COMPARISON.metrics!.map((metric) => ({ ...metric, name: evil, doc: evil })),
    });
    expect(all(".as-comparison img")).toHaveLength(0);
    expect(pick(evil)).toBeTruthy();
  });

  it("picks a method by its name, and marks the one on show", () => {
    compared({}, { layer: "stem", alpha: 0.5 });
    expect(all(".as-comparison [aria-current]")).toHaveLength(0); // the map is a layer's
    pick("Saliency").click();
    view.frame();
    expect(view.model.values.method).toBe("Saliency");
    expect(view.model.values.layer).toBe(null);
    expect(view.model.values.alpha).toBe(1);
    expect(all(".as-comparison tbody [aria-current=true]").map((one) => one.textContent)).toEqual([
      "Saliency",
    ]);
    expect(all(".as-comparison tbody button")).toHaveLength(2); // controls explain nothing that could be shown
  });

  it("keeps the focus when lines are added", () => {
    compared({ methods: COMPARISON.methods!.slice(0, 2), final: false }, { status: "running" });
    pick("Saliency").focus();
    view.model.receive({ comparison: { ...COMPARISON } });
    view.frame();
    expect(rows()).toHaveLength(3);
    expect(document.activeElement).toBe(pick("Saliency"));
  });

  it("leaves no listener behind, however often it is filled", () => {
    compared();
    const before = view.model.listening;
    for (let i = 0; i < 5; i++) {
      view.model.receive({ comparison: { ...COMPARISON } });
      view.frame();
    }
    expect(view.model.listening).toBe(before);
    view.end();
    expect(view.model.listening).toBe(0);
  });
});

describe("what it answers", () => {
  answersItsChoices("as-comparison", "comparing", compared, [
    ["target", { target: 2 }],
    ["baseline", { baseline: "blur" }],
    ["contrast", { contrast: 2 }],
    ["example", { example: 1 }],
    ["settings", { settings: { Saliency: { abs: true } } }],
  ]);

  it("is not out of date under another method, layer, or settings of a method that is not in it", () => {
    compared();
    choose("Method", "Saliency");
    view.model.receive({ layer: "stem", settings: { Lime: { cells: 3 } } });
    view.frame();
    expect(tag()).toBe("");
    expect(find(".as-comparison").dataset.stale).toBeUndefined();
  });

  it("is out of date when the weights changed", () => {
    compared({ outdated: true });
    expect(tag()).toBe("out of date");
  });
});

describe("the words of the table", () => {
  it("numbers each reason once", () => {
    const one = method("a", [null, null], { notes: ["x", "y"] });
    expect([...footnotes([one, { ...one, notes: ["y", null] }])]).toEqual([
      ["x", 1],
      ["y", 2],
    ]);
  });

  it("aligns the numbers of a column", () => {
    expect(
      columnsOf([method("a", [12.3456, 1]), method("b", [-0.5, null]), method("c", [])], [{}, {}]),
    ).toEqual([
      ["12.3", "−0.5", "–"],
      ["1.00", "–", "–"],
    ]);
  });
});
