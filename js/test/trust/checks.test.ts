/** Whether the map on show can be trusted: what is asked, what is told, and when it is out of date. */
import { describe, expect, it } from "vitest";
import type { RawChecks } from "../../src/state/messages.generated";
import type { Traits } from "../../src/state/traits.generated";
import { sampleTraits } from "../support/fake";
import { answersItsChoices, tagOf } from "../support/trust";
import { all, buttonOf, choose, draw, find, useViews, view } from "../support/view";

useViews();

const CHECKS: RawChecks = {
  title: "Integrated Gradients for cat, baseline zero",
  request: sampleTraits().heat!.request!,
  final: true,
  outdated: false,
  results: [
    { name: "complete", verdict: "good", value: 0.01, sentence: "pixels add up.", doc: "The gap." },
    { name: "stable", verdict: "fair", value: 0.33, sentence: "noise moves <b>it</b>.", doc: "Noise." },
    { name: "learned", verdict: "poor", value: 0.91, sentence: "it looks the same.", doc: "Random." },
  ],
};

const checked = (changes: Partial<RawChecks> = {}, traits: Partial<Traits> = {}): void =>
  draw({ checks: { ...CHECKS, ...changes }, tab: "trust", ...traits });
const tag = (): string => tagOf("as-checks");
const lines = (): HTMLElement[] => all(".as-check-line");

describe("the checks", () => {
  it("are not there where the kernel knows of none", () => {
    draw();
    expect(all(".as-checks")).toHaveLength(0);
  });

  it("invite before there are any, and ask", () => {
    draw({ checks: {} });
    expect(find(".as-checks .as-note").hidden).toBe(false);
    expect(lines()).toHaveLength(0);
    expect(buttonOf("How this is measured").hidden).toBe(true);
    buttonOf("Check").click();
    expect(view.model.sent).toEqual([{ type: "check" }]);
  });

  it("are one sentence each, with a word for the colour", () => {
    checked();
    expect(find(".as-checks .as-note").hidden).toBe(true);
    expect(lines().map((one) => one.textContent)).toEqual([
      "Complete: pixels add up. good",
      "Stable: noise moves <b>it</b>. fair",
      "Learned: it looks the same. poor",
    ]);
    expect(lines().map((one) => one.dataset.verdict)).toEqual(["good", "fair", "poor"]);
    expect(all(".as-checks b")).toHaveLength(0);
    expect(find(".as-check-lines").getAttribute("aria-label")).toBe(
      "Checks of Integrated Gradients for cat, baseline zero",
    );
  });

  it("say how they are measured, to whoever opens that", () => {
    checked();
    buttonOf("How this is measured").click();
    expect(find(".as-about-checks").hidden).toBe(false);
    expect(find(".as-about-checks").textContent).toBe("CompleteThe gap.StableNoise.LearnedRandom.");
  });

  it("have a word where there is nothing to judge", () => {
    checked({
      results: [{ name: "complete", verdict: "none", value: null, sentence: "no promise.", doc: "" }],
    });
    expect(lines()[0]!.textContent).toBe("Complete: no promise. no verdict");
  });

  it("keep the focus on the button while they are made", () => {
    checked();
    buttonOf("Check").focus();
    view.model.receive({ status: "running" });
    view.frame();
    expect(document.activeElement).toBe(buttonOf("Check"));
    buttonOf("Check").click();
    expect(view.model.sent).toEqual([]);
  });

  it("ask for nothing while something is computed, nor without a kernel", () => {
    checked({}, { status: "running" });
    expect(buttonOf("Check").disabled).toBe(true);
    expect(buttonOf("Check").title).toContain("cancel it");
    view.end();
    view.el.remove();
    checked({}, { _live: false });
    expect(buttonOf("Check").disabled).toBe(true);
    expect(lines()).toHaveLength(3); // but they are there to be read
  });
});

describe("what they answer", () => {
  answersItsChoices("as-checks", "checking", checked, [
    ["target", { target: 2 }],
    ["method", { method: "Saliency" }],
    ["baseline", { baseline: "blur" }],
    ["example", { example: 1 }],
    ["layer", { layer: "stem" }],
    ["settings", { settings: { IntegratedGradients: { n_steps: 100 } } }],
    ["effort", { effort: 1 }],
  ]);

  it("is out of date when the weights changed, and not when the map is only restyled", () => {
    checked();
    view.model.receive({ opacity: 0.1, sign: "positive", alpha: 0.5 });
    view.frame();
    expect(tag()).toBe("");
    view.model.receive({ checks: { ...CHECKS, outdated: true } });
    view.frame();
    expect(tag()).toBe("out of date");
  });

  it("goes with the method that is picked elsewhere", () => {
    checked();
    choose("Method", "Saliency");
    view.frame();
    expect(tag()).toBe("out of date");
    choose("Method", "IntegratedGradients");
    view.frame();
    expect(tag()).toBe("");
  });
});
