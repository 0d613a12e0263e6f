/** What if: neurons switched off, the list of them, and what becomes of the predictions. */
import { describe, expect, it } from "vitest";
import { points } from "../../src/lib/format";
import { currentWhatIf } from "../../src/selection/channels";
import type { Ablated } from "../../src/state/messages.generated";
import { State } from "../../src/state/state";
import type { Traits } from "../../src/state/traits.generated";
import { FakeModel, sampleTraits } from "../support/fake";
import { channelsOf, SIX, whatIfOf, withLayer } from "../support/inside-traits";
import { all, buttonOf, choose, draw, find, labelled, option, press, useViews, view } from "../support/view";

useViews();

const TWO: readonly Ablated[] = [
  ["stem", 4],
  ["stem", [5, 0, 3]],
];
const classes = (): HTMLElement[] => all("[aria-label=Predictions] [role=option]");
const texts = (): string[] => classes().map((row) => row.textContent);
const removes = (): HTMLElement[] => all(".as-off button");

function drawOff(changes: Partial<Traits> = {}): void {
  draw(withLayer(SIX, { ablated: TWO, what_if: whatIfOf(TWO), ...changes }));
}

describe("an answer to what if", () => {
  const current = (changes: Partial<Traits>): unknown =>
    currentWhatIf(
      new State(
        new FakeModel(sampleTraits(withLayer(SIX, { ablated: TWO, what_if: whatIfOf(TWO), ...changes }))),
        new AbortController().signal,
      ).view,
    );

  it("is one for the same neurons in whatever order, the same example and the same value", () => {
    expect(current({})).toBeDefined();
    expect(current({ ablated: [...TWO].reverse() })).toBeDefined();
    expect(current({ ablated: [["stem", [4]], TWO[1]!] })).toBeDefined();
    expect(current({ ablated: TWO.slice(1) })).toBeUndefined();
    expect(current({ ablated: [["stem.conv", 4], TWO[1]!] })).toBeUndefined();
    expect(current({ example: 1 })).toBeUndefined();
    expect(current({ ablate_to: "baseline" })).toBeUndefined();
    expect(current({ ablated: [], what_if: whatIfOf([]) })).toBeUndefined();
    expect(current({ what_if: {} })).toBeUndefined();
    expect(current({ target: 2, contrast: 7 })).toBeDefined(); // the outputs are the same for every target
  });
});

describe("the predictions with something switched off", () => {
  it("show what is left, how much that changed, and where the bar ended before", () => {
    drawOff();
    expect(texts()).toEqual([
      "cat12.4%−57.6, before 70.0%",
      "dog60.0%+40.0, before 20.0%",
      "hat<0.1%±0.0, before <0.1%",
      "fox20.0%+20.0, before <0.1%, new among the best",
    ]);
    const [cat, , , fox] = classes();
    expect(cat!.style.getPropertyValue("--as-to")).toBe("0.1240");
    expect(cat!.style.getPropertyValue("--as-was")).toBe("0.7000");
    expect(fox!.dataset.new).toBe("1");
    expect(cat!.dataset.new).toBeUndefined();
    expect(find(".as-predictions .as-hint").textContent).toBe("with 2 switched off");
  });

  it("stay intact and say so while the answer is not there, and are exactly intact after undoing all", () => {
    draw(withLayer(SIX));
    const intact = find(".as-predictions .as-list").outerHTML;
    view.model.receive({ ablated: TWO });
    view.frame();
    expect(texts()).toEqual(["cat70.0%", "dog20.0%", "hat<0.1%"]);
    expect(find(".as-predictions .as-tag").textContent).toBe("updating");
    view.model.receive({ what_if: whatIfOf(TWO) });
    view.frame();
    expect(find(".as-predictions .as-tag").hidden).toBe(true);
    expect(texts()).toHaveLength(4);
    buttonOf("Undo").click();
    view.frame();
    expect(texts()).toEqual(["cat70.0%", "dog20.0%", "hat<0.1%"]); // the answer was to another question
    buttonOf("Undo").click();
    view.frame();
    expect(find(".as-predictions .as-list").outerHTML).toBe(intact);
    expect(find(".as-predictions .as-tag").hidden).toBe(true);
  });

  it("follow the walk first", () => {
    drawOff({ alpha: 0.75 });
    expect(option("cat").textContent).toBe("cat60.0%");
    expect(find(".as-predictions .as-tag").hidden).toBe(true);
    view.model.receive({ alpha: 1 });
    view.frame();
    expect(option("cat").textContent).toContain("12.4%");
  });

  it("keep the focus on a class while its bar moves, and while classes come in", () => {
    draw(withLayer(SIX, { ablated: TWO }));
    option("dog").focus();
    press(option("cat"), "ArrowDown");
    expect(document.activeElement).toBe(option("dog"));
    view.model.receive({ what_if: whatIfOf(TWO) });
    view.frame();
    expect(document.activeElement).toBe(option("dog"));
    const before = option("dog");
    const items = whatIfOf(TWO).items!.map((item) => ({ ...item, after: 0.25 }));
    view.model.receive({ what_if: whatIfOf(TWO, { items }) });
    view.frame();
    expect(option("dog")).toBe(before);
    expect(before.textContent).toContain("25.0%");
  });

  it("can be picked, also those that came in", () => {
    drawOff();
    option("fox").click();
    expect(view.model.values.target).toBe(4);
  });

  it("show scores on both sides of zero", () => {
    drawOff({
      predictions: {
        kind: "score",
        items: [{ index: 0, label: "a", score: 2, probability: null }],
      },
      what_if: whatIfOf(TWO, {
        kind: "score",
        items: [{ index: 0, label: "a", before: 2, after: -2, before_score: 2, after_score: -2 }],
      }),
    });
    expect(texts()).toEqual(["a−2.00−4.00, before 2.00"]);
    const row = classes()[0]!;
    expect(["--as-from", "--as-to", "--as-was"].map((name) => row.style.getPropertyValue(name))).toEqual([
      "0.0000",
      "0.5000",
      "1.0000",
    ]);
  });

  it("survive an answer without numbers, and a malformed one", () => {
    drawOff({
      what_if: { request: { example: 0, ablated: TWO, ablate_to: "zero" }, message: "No such layer" },
    });
    expect(texts()).toHaveLength(3);
    expect(find(".as-whatif .as-warning").textContent).toBe("No such layer");
    view.model.receive({ what_if: { ...whatIfOf(TWO), items: "all" as unknown as [] } });
    view.frame();
    expect(texts()).toHaveLength(3);
  });

  it("tell changes in percentage points", () => {
    expect([0.5, -0.2844, 0.0001, -0.0001, NaN].map(points)).toEqual([
      "+50.0",
      "−28.4",
      "±0.0",
      "±0.0",
      "NaN",
    ]);
  });
});

describe("the list of what is switched off", () => {
  it("is there only while something is, also when its layer is left", () => {
    draw(withLayer(SIX));
    expect(find(".as-whatif").hidden).toBe(true);
    view.model.receive({ ablated: TWO, layer: null, channels: {} });
    view.frame();
    expect(find(".as-inside").hidden).toBe(false);
    expect(find(".as-whatif").hidden).toBe(false);
    expect(find(".as-channels").hidden && find(".as-neuron").hidden).toBe(true);
    expect(all(".as-off li").map((one) => one.textContent)).toEqual([
      "stem: channel 4×",
      "stem: channel 5, row 0, column 3×",
    ]);
    view.model.receive({ ablated: [] });
    view.frame();
    expect(find(".as-inside").hidden).toBe(true);
  });

  it("says what became of the explained class, and that the map is not changed", () => {
    drawOff();
    expect(find(".as-whatif-words").textContent).toBe("2 switched off: cat 70.0% → 12.4%, dog 20.0% → 60.0%");
    expect(find(".as-whatif .as-note").textContent).toContain("only the predictions change");
  });

  it("names the neuron where it is one, and its layer where that is another", () => {
    const said = (): string => find(".as-whatif .as-title").textContent;
    draw(withLayer(SIX, { ablated: [["stem", 4]] }));
    expect(said()).toBe("Channel 4 switched off:");
    expect(find(".as-whatif-words .as-facts").textContent).toBe(""); // the answer is not there yet
    view.model.receive({ ablated: [["fc", [1]]] });
    view.frame();
    expect(said()).toBe("Channel 1 of fc switched off:");
    view.model.receive({ ablated: [["", 3]], layer: null, channels: {} });
    view.frame();
    expect(said()).toBe("Channel 3 of the model switched off:");
  });

  it("says of two classes besides the explained one only what changed most", () => {
    drawOff({ target: 9 });
    expect(find(".as-whatif-words .as-facts").textContent).toBe("hat <0.1% → <0.1%, cat 70.0% → 12.4%");
  });

  it("undoes the last, clears all, and sets to zero or the baseline", () => {
    drawOff();
    buttonOf("Undo").click();
    expect(view.model.values.ablated).toEqual([TWO[0]]);
    choose("Set to", "baseline");
    view.frame();
    expect(view.model.saves).toEqual([{ ablated: [TWO[0]], ablate_to: "baseline" }]);
    buttonOf("Clear").click();
    expect(view.model.values.ablated).toEqual([]);
  });

  it("shows the end of the path when something is switched off: that is what changes", () => {
    drawOff({ alpha: 0.5 });
    buttonOf("Undo").click();
    expect(view.model.values.alpha).toBe(1);
  });

  it("keeps the focus near by when an entry goes, and passes it on when the last does", () => {
    drawOff({ neuron: 4 });
    removes()[1]!.focus();
    removes()[1]!.click();
    view.frame();
    expect(document.activeElement).toBe(removes()[0]);
    expect(removes()[0]!.getAttribute("aria-label")).toBe("Switch on again: stem: channel 4");
    removes()[0]!.click();
    view.frame();
    expect(find(".as-whatif").hidden).toBe(true);
    expect(document.activeElement).toBe(buttonOf("Switch off"));
  });

  it("passes the focus to the grid when no neuron is picked", () => {
    drawOff();
    buttonOf("Clear").focus();
    buttonOf("Clear").click();
    view.frame();
    expect((document.activeElement as HTMLElement).dataset.channel).toBe("1");
  });

  it("says once why something cannot be switched off", () => {
    draw(withLayer(SIX, { neuron: 4 }));
    view.model.receive({ refused: { trait: "ablated", reason: "stem gives tuples", count: 1 } });
    view.frame();
    const said = all(".as-inside .as-refusal:not([hidden])").map((one) => one.textContent);
    expect(said).toEqual(["stem gives tuples"]);
  });

  it("shows names as text, and the model itself by a name", () => {
    const layer = "<i>x</i>";
    drawOff({
      ablated: [
        ["", 0],
        [layer, 1],
      ],
      channels: channelsOf({ activations: [1], contributions: [1] }),
    });
    expect(all(".as-off .as-name").map((one) => one.textContent)).toEqual([
      "the model: channel 0",
      "<i>x</i>: channel 1",
    ]);
    expect(view.el.querySelector("i")).toBeNull();
  });

  it("can be read but not changed without a kernel", () => {
    drawOff({ _live: false });
    for (const control of [...removes(), buttonOf("Undo"), buttonOf("Clear"), labelled("Set to")]) {
      expect((control as HTMLButtonElement).disabled).toBe(true);
    }
    expect(find(".as-whatif .as-tag").hidden).toBe(true);
    expect(texts()[0]).toContain("12.4%");
  });
});
