/** What covering a region costs, beside what the map says it is worth. */
import { describe, expect, it } from "vitest";
import type { RawHeat, Region, Request } from "../../src/state/messages.generated";
import type { Traits } from "../../src/state/traits.generated";
import { number, percent, signed } from "../../src/lib/format";
import { sampleTraits } from "../support/fake";
import { coveredOf, regionHeat, regionTraits, VALUES, W } from "../support/region-traits";
import { buttonOf, draw, find, useViews, view } from "../support/view";

useViews();

const BOX: Region = { kind: "box", box: [1, 2, 4, 4] };
const inside = [...VALUES].filter((_, i) => i % W >= 2 && i % W < 4 && i >= W && i < 4 * W);
const sum = inside.reduce((all, one) => all + one, 0);
const sizeOf = (values: readonly number[]): number => values.reduce((all, one) => all + Math.abs(one), 0);

const card = (): HTMLElement => find(".as-covered");
const sentence = (): string => find(".as-covered-sentence").textContent;
const show = (changes: Partial<Traits> = {}): void => {
  draw(regionTraits({ selection: BOX, covered: coveredOf(BOX), ...changes }));
};

describe("the card", () => {
  it("is there with a region only", () => {
    draw(regionTraits());
    expect(card().hidden).toBe(true);
    view.model.receive({ selection: BOX });
    view.frame();
    expect(card().hidden).toBe(false);
    buttonOf("Clear").click();
    view.frame();
    expect(view.model.values.selection).toBeNull();
    expect(card().hidden).toBe(true);
  });

  it("says what the map says at once, and what the kernel says when it has", () => {
    show({ covered: {} });
    const said = `The map says it is worth ${signed(sum)}; covering it with the baseline “zero”`;
    expect(sentence()).toBe(`${said} …`);
    view.model.receive({ covered: coveredOf(BOX) });
    view.frame();
    expect(sentence()).toBe(`${said} costs 1.50`);
    expect(card().textContent).toContain("score 3.00 → 1.50, 70.0% → 30.0%");
    expect(card().textContent).toContain("The best class is then dog, 40.0%");
    const share = percent(sizeOf(inside) / sizeOf([...VALUES]));
    expect(card().textContent).toContain("6 pixels: 12.5% of the picture");
    expect(card().textContent).toContain(`${share} of the map by size`);
  });

  it.each([
    [{ cost: -0.25 }, "adds 0.250"],
    [{ cost: 0 }, "changes nothing"],
    [{ cost: null, after: null }, "gives no number"],
  ])("tells a cost of %o as what it is", (changes, words) => {
    show({ covered: coveredOf(BOX, changes) });
    expect(sentence()).toContain(`the baseline “zero” ${words}`);
  });

  it("names several baselines, and what the score is above", () => {
    const request = {
      target: 7,
      contrast: 2,
      example: 0,
      baseline: ["zero", "blur"],
      output: "auto",
    } as const;
    show({ baseline: ["zero", "blur"], contrast: 2, covered: coveredOf(BOX, { request }) });
    expect(sentence()).toContain("with the baselines “zero”, “blurred”, on average costs 1.50");
    expect(card().textContent).toContain("score above dog 3.00 → 1.50");
  });

  it("does not show what answers another choice or another region", () => {
    show();
    view.model.receive({ target: 2 });
    view.frame();
    expect(sentence()).toMatch(/the baseline “zero” …$/);
    view.model.receive({ target: 7, selection: { kind: "box", box: [0, 0, 1, 1] } });
    view.frame();
    expect(sentence()).toMatch(/the baseline “zero” …$/);
    view.model.receive({ selection: BOX });
    view.frame();
    expect(sentence()).toMatch(/costs 1.50$/);
  });

  it("says why there is no number", () => {
    show({ covered: coveredOf(BOX, { cost: undefined, message: "ValueError: <b>no</b>" }) });
    expect(sentence()).toContain("covering it with the baseline “zero” fails:");
    expect(find(".as-covered .as-warning").textContent).toBe("ValueError: <b>no</b>");
  });
});

describe("a region of a neuron", () => {
  const request: Request = {
    ...{ target: 7, contrast: null, example: 0, baseline: "zero", output: "auto" as const },
    ...{ layer: "stem", neuron: 3 },
  };
  const ofNeuron = coveredOf(BOX, { request, kind: undefined, items: undefined });
  const at = { layer: "stem", neuron: 3, neuron_method: "NeuronDeepLift" };
  const heat = (changes: Partial<RawHeat> = {}): RawHeat => {
    const asked = { ...sampleTraits().heat?.request, ...at };
    return regionHeat({ request: asked, ...changes });
  };

  it("is worth what the map of the neuron says, and costs what the neuron holds less", () => {
    show({ ...at, heat: heat(), covered: ofNeuron });
    expect(sentence()).toBe(
      `The map says it is worth ${signed(sum)}; covering it with the baseline “zero” costs 1.50`,
    );
    expect(card().textContent).toContain("activation in all 3.00 → 1.50");
    expect(card().textContent).not.toContain("score");
  });

  it("is not worth what passes on to the output by way of it", () => {
    show({ ...at, heat: heat({ tells_worth: false }), covered: ofNeuron });
    expect(sentence()).toContain("The map says what passes on by way of the neuron");
    expect(sentence()).toContain("costs 1.50");
  });

  it("is none of the output, nor the other way round", () => {
    show({ ...at, heat: heat() });
    expect(sentence()).toMatch(/the baseline “zero” …$/);
    view.model.receive({ covered: ofNeuron });
    view.frame();
    expect(sentence()).toMatch(/costs 1.50$/);
    view.model.receive({ neuron: null });
    view.frame();
    expect(sentence()).toMatch(/the baseline “zero” …$/);
    view.model.receive({ covered: coveredOf(BOX) }); // at a layer it is the output that is asked
    view.frame();
    expect(sentence()).toMatch(/costs 1.50$/);
  });
});

describe("the worth", () => {
  it.each<[Partial<Traits>, string]>([
    [{ heat: regionHeat({ quantity: "gradient", tells_worth: false }) }, "no contributions"],
    [{ heat: regionHeat({ quantity: undefined, tells_worth: undefined }) }, "no contributions"],
    [{ heat: regionHeat({ summable: false, sum: null }) }, "do not add up"],
    [{ heat: regionHeat({ summable: false, preview: true }) }, "The map is not ready"],
    [{ method: "Saliency" }, "The map is not ready"],
    [{ alpha: 0.5 }, "On the way from the baseline"],
    [{ layer: "stem" }, "A map of a layer does not say"],
  ])("is not told where the map does not tell it: %o", (changes, words) => {
    show(changes);
    expect(sentence()).toContain(words);
    expect(sentence()).not.toContain("The map says");
  });

  it("of a method of one's own is the sum of its numbers, and said to be that", () => {
    show({ heat: regionHeat({ quantity: "attribution" }) });
    expect(sentence()).toContain(`The numbers of your method add up there to ${signed(sum)};`);
  });

  it("is that of the pixels, however coarse the map is drawn", () => {
    show({ detail: 2 });
    expect(sentence()).toContain(`The map says it is worth ${signed(sum)};`);
  });

  it.each([{ summable: false }, { pixels: 4 }])(
    "is the kernel's of a map of %o, if of that on show",
    (changes) => {
      const heat = regionHeat(changes);
      show({ heat, covered: coveredOf(BOX, { worth: 0.625, map: heat.request! }) });
      expect(sentence()).toContain(`The map says it is worth ${signed(0.625)};`);
      view.model.receive({ covered: coveredOf(BOX, { worth: 0.625, map: { ...heat.request, effort: 1 } }) });
      view.frame();
      expect(sentence()).not.toContain("The map says");
    },
  );
});

describe("without a kernel", () => {
  it("tells what the map says of any region, and that the cost takes a kernel", () => {
    draw(regionTraits({ _live: false }));
    view.model.set("selection", { kind: "segment", point: [7, 5] });
    view.frame();
    const worth = [...VALUES].filter((_, i) => i % W >= 4 && i >= 2 * W).reduce((all, one) => all + one, 0);
    expect(sentence()).toBe(
      `The map says it is worth ${signed(worth)}; what covering it costs takes the kernel`,
    );
    expect(find(".as-covered-sentence").title).toBe("This page was saved without its kernel");
    expect(number(worth)).not.toBe("0");
  });
});

describe("undo", () => {
  it("goes back region by region, wherever they were picked", () => {
    draw(regionTraits());
    const other: Region = { kind: "box", box: [0, 0, 2, 2] };
    for (const one of [BOX, other, { kind: "segment", point: [0, 0] } as const]) {
      view.model.receive({ selection: one });
      view.frame();
    }
    for (const before of [other, BOX]) {
      buttonOf("Undo").click();
      view.frame();
      expect(view.model.values.selection).toEqual(before);
    }
    expect(buttonOf("Undo").disabled).toBe(true);
  });
});
