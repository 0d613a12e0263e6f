/** Inside a layer: the picked neuron. */
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { RawChannels } from "../../src/state/messages.generated";
import type { Traits } from "../../src/state/traits.generated";
import { infoOf, manualSizes, SIX, TOKENS, VECTOR, withLayer } from "../support/inside-traits";
import { all, buttonOf, choose, draw, find, labelled, press, useViews, view } from "../support/view";

useViews();
beforeEach(() => void manualSizes());

const unit = (channel: number): HTMLElement => find(`.as-unit[data-channel="${channel}"]`);

function drawInside(raw: RawChannels = SIX, changes: Partial<Traits> = {}): void {
  draw(withLayer(raw, changes));
}

describe("the neuron", () => {
  it("is there only while one is picked", () => {
    drawInside(SIX);
    expect(find(".as-neuron").hidden).toBe(true);
    unit(4).click();
    view.frame();
    expect(find(".as-neuron").hidden).toBe(false);
  });

  it("shows activation and contributions to the classes, with the sign on its side of zero", () => {
    drawInside(SIX, { neuron: 5, neuron_info: infoOf(5) });
    expect(find(".as-neuron .as-title").textContent).toBe("Channel 5 of stem");
    expect(find(".as-neuron .as-facts").textContent).toBe("Activation 1.31, at the baseline 0.200");
    const rows = all(".as-share");
    expect(rows.map((row) => row.textContent)).toEqual(["cat+0.820, explained", "dog−0.410", "hat–"]);
    const span = (row: HTMLElement): string[] =>
      ["--as-from", "--as-to"].map((name) => row.style.getPropertyValue(name));
    expect(span(rows[0]!)).toEqual(["0.5000", "1.0000"]);
    expect(span(rows[1]!)).toEqual(["0.2500", "0.5000"]);
    expect(span(rows[2]!)).toEqual(["0.0000", "0.0000"]);
  });

  it("shows no numbers of another neuron, and says that it is updating", () => {
    drawInside(SIX, { neuron: 5, neuron_info: infoOf(5) });
    unit(4).click();
    view.frame();
    expect(find(".as-neuron .as-title").textContent).toBe("Channel 4");
    expect(find(".as-neuron .as-tag").textContent).toBe("updating");
    expect(find(".as-neuron .as-facts").hidden).toBe(true);
    expect(all(".as-share .as-number").map((one) => one.textContent)).toEqual(["–, explained", "–", "–"]);
    view.model.receive({ neuron_info: infoOf([4]) });
    view.frame();
    expect(find(".as-neuron .as-tag").hidden).toBe(true);
  });

  it("has a method of its own, and a switch", () => {
    drawInside(SIX, { neuron: 5, neuron_info: infoOf(5) });
    expect(labelled("Neuron method").closest("label")!.title).toBe("Which pixels move the neuron.");
    choose("Neuron method", "NeuronIntegratedGradients");
    expect(view.model.values.neuron_method).toBe("NeuronIntegratedGradients");
    buttonOf("Switch off").click();
    view.frame();
    expect(view.model.values.ablated).toEqual([["stem", 5]]);
    buttonOf("Switch on").click();
    view.frame();
    expect(view.model.values.ablated).toEqual([]);
    buttonOf("Back to layer").click();
    expect(view.model.values.neuron).toBeNull();
  });

  it("lets a place be picked by keys in the layer's own coordinates, and be left again", () => {
    drawInside(SIX, { neuron: 5, neuron_info: infoOf(5) });
    const field = find(".as-places-field");
    expect(field.getAttribute("aria-label")).toContain("Places in channel 5, 4 × 4");
    press(field, "ArrowLeft"); // shows the cursor in the middle
    press(field, "End");
    press(field, "PageDown");
    expect(find(".as-places .as-readout").textContent).toBe("row 3, column 3: activation ≈ 1.31");
    press(field, "Enter");
    view.frame();
    expect(view.model.values.neuron).toEqual([5, 3, 3]);
    expect(find(".as-neuron .as-title").textContent).toBe("Channel 5, row 3, column 3");
    buttonOf("Whole channel").click();
    view.frame();
    expect(view.model.values.neuron).toBe(5);
    expect(document.activeElement).toBe(buttonOf("Switch off"));
  });

  it("lets a place be picked by click, and switches off just that", () => {
    drawInside(SIX, { neuron: 5 });
    const field = find(".as-places-field");
    vi.spyOn(field, "getBoundingClientRect").mockReturnValue({
      left: 0,
      top: 0,
      width: 160,
      height: 160,
    } as DOMRect);
    field.dispatchEvent(new MouseEvent("click", { bubbles: true, clientX: 50, clientY: 130 }));
    view.frame();
    expect(view.model.values.neuron).toEqual([5, 3, 1]);
    buttonOf("Switch off").click();
    expect(view.model.values.ablated).toEqual([["stem", [5, 3, 1]]]);
    field.dispatchEvent(new MouseEvent("click", { bubbles: true, clientX: 50, clientY: 130 }));
    expect(view.model.values.neuron).toBe(5);
  });

  it("has positions for tokens and none for single numbers", () => {
    drawInside(TOKENS, { neuron: [3, 1] });
    expect(find(".as-neuron .as-title").textContent).toBe("Unit 3, position 1 “<b>cat</b>”");
    press(find(".as-places-field"), "ArrowRight");
    press(find(".as-places-field"), "Enter");
    expect(view.model.values.neuron).toEqual([3, 2]);
    view.end();
    drawInside(VECTOR, { neuron: 1 });
    expect(find(".as-places").hidden).toBe(true);
  });
});
