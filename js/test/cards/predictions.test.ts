/** The predictions: what a person sees, does and hears. */
import { describe, expect, it } from "vitest";
import { sampleTraits } from "../support/fake";
import { all, draw, drawPart, find, labelled, option, press, useViews, view } from "../support/view";

useViews();

describe("predictions", () => {
  it("show label and share, and mark the explained one", () => {
    draw();
    expect(all("[role=option]").map((row) => row.textContent)).toEqual(["cat70.0%", "dog20.0%", "hat<0.1%"]);
    expect(all("[role=option]").map((row) => row.getAttribute("aria-selected"))).toEqual([
      "true",
      "false",
      "false",
    ]);
  });

  it("mark the class that the example is of, where that is known", () => {
    draw({ example_predictions: [{ label: "cat", truth: "dog", truth_index: 2, wrong: true }], example: 0 });
    expect(all("[role=option]").map((row) => row.textContent)).toEqual([
      "cat70.0%",
      "dogtrue20.0%",
      "hat<0.1%",
    ]);
    view.model.receive({ example_predictions: [{ label: "cat" }] });
    view.frame();
    expect(all(".as-true").every(({ hidden }) => hidden)).toBe(true);
  });

  it("pick a target by click and by key, and change nothing else", () => {
    draw({ alpha: 0.5, layer: "stem" });
    option("dog").click();
    view.frame();
    expect(view.model.saves).toEqual([{ target: 2 }]);
    press(option("dog"), "ArrowDown");
    press(option("hat"), "Enter");
    view.frame();
    expect(view.model.saves[1]).toEqual({ target: 9 });
    press(option("hat"), "Home");
    expect(document.activeElement).toBe(option("cat"));
    expect(all("[role=option]").map((row) => row.tabIndex)).toEqual([0, -1, -1]);
  });

  it("follow the walk for the classes the path knows", () => {
    draw({ alpha: 0.75 });
    expect(option("cat").textContent).toContain("60.0%");
    expect(option("dog").textContent).toContain("25.0%");
    expect(option("hat").dataset.unknown).toBe("1");
    view.model.receive({ baseline: "blur" }); // the path now belongs to another baseline
    view.frame();
    expect(option("cat").textContent).toContain("70.0%");
  });

  it("draw no bar for a single score, which is a share of nothing", () => {
    const items = [{ index: 0, label: "price", score: 21.5, probability: null }];
    draw({ predictions: { kind: "score", output: "values", doc: "what the model gives", items } });
    expect(all("[role=option]").map((row) => row.dataset.alone)).toEqual(["1"]);
    expect(option("price").textContent).toContain("21.5");
    draw();
    expect(all("[role=option]").every((row) => row.dataset.alone === undefined)).toBe(true);
  });

  it("show scores when there are no probabilities", () => {
    draw({
      alpha: 0.5,
      target: [1],
      predictions: {
        kind: "score",
        items: [
          { index: 0, label: "a", score: -1.5, probability: null },
          { index: 1, label: "b", score: 12, probability: null },
        ],
      },
    });
    expect(all("[role=option]").map((row) => row.textContent)).toEqual(["a−1.5", "b12.0"]);
    expect(option("b").getAttribute("aria-selected")).toBe("true");
  });

  it("say how the numbers come about, and ask for others", () => {
    draw({ output: "auto", predictions: { ...sampleTraits().predictions, doc: "softmax of the scores" } });
    const menu = find("select[aria-label='What the numbers are']") as HTMLSelectElement;
    const shown = (): string | null =>
      [...menu.options].find(({ value }) => value === menu.value)!.textContent;
    expect(shown()).toBe("auto: softmax of the scores");
    menu.value = "values";
    menu.dispatchEvent(new Event("change"));
    view.frame();
    expect(view.model.saves).toEqual([{ output: "values" }]);
    view.model.receive({ output: "values", refused: {} });
    view.frame();
    expect(shown()).toBe("plain values");
    expect(menu.options[0]!.textContent).toBe("auto");
  });

  it("say what numbers with places are taken for, and let it be said, though nothing is predicted", () => {
    const doc = "3 x 6 x 8 values, of which the target picks one";
    const shape = [3, 6, 8];
    draw({ output: "auto", predictions: { kind: "score", output: "values", doc, items: [], shape } });
    expect(find(".as-told").hidden).toBe(false);
    expect(labelled("Predictions").dataset.empty).toBeUndefined();
    const menu = find("select[aria-label='What the numbers are']") as HTMLSelectElement;
    expect([...menu.options].map(({ textContent }) => textContent)).toEqual([
      `auto: ${doc}`,
      "classes, by share of the pixels",
      "plain values",
    ]);
    menu.value = "segmentation";
    menu.dispatchEvent(new Event("change"));
    view.frame();
    expect(view.model.saves).toEqual([{ output: "segmentation" }]);
    view.model.receive({ predictions: { ...sampleTraits().predictions, output: "boxes", doc, boxes: [] } });
    view.frame();
    expect(find(".as-told").hidden).toBe(true);
  });

  it("say it only where it can be changed", () => {
    drawPart("predictions", ["predictions", "target"]);
    expect(find(".as-told").hidden).toBe(true);
  });

  it("draw nothing for a score that is no number", () => {
    draw({
      predictions: { kind: "score", items: [{ index: 0, label: "a", score: null, probability: null }] },
    });
    expect(option("a").textContent).toContain("NaN");
  });

  it("know a function by its name, which is no class", () => {
    draw({ target: "margin" });
    expect(all("[role=option]").every((row) => row.getAttribute("aria-selected") === "false")).toBe(true);
  });
});
