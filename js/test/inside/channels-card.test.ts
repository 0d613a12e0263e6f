/** Inside a layer: its channels as a grid. */
import { beforeEach, describe, expect, it, vi } from "vitest";
import { channels } from "../../src/data/channels";
import { colourTable } from "../../src/data/colour-tables";
import { lut } from "../../src/data/messages";
import { indexAfter } from "../../src/inside/channel-grid";
import { sorted } from "../../src/inside/grid-controls";
import { limits } from "../../src/selection/channel-colours";
import type { RawChannels } from "../../src/state/messages.generated";
import type { Traits } from "../../src/state/traits.generated";
import { onWire, recordCanvases, sampleTraits } from "../support/fake";
import { channelsOf, manualSizes, SIX, TOKENS, VECTOR, withLayer } from "../support/inside-traits";
import { all, choose, draw, find, inputOf, press, selectOf, type, useViews, view } from "../support/view";

useViews();
let resize: ReturnType<typeof manualSizes>;
beforeEach(() => {
  resize = manualSizes();
});

const units = (): HTMLElement[] => all(".as-units [role=option]");
const unit = (channel: number): HTMLElement => find(`.as-unit[data-channel="${channel}"]`);
const order = (): number[] => units().map((one) => Number(one.dataset.channel));

function drawInside(raw: RawChannels = SIX, changes: Partial<Traits> = {}): void {
  draw(withLayer(raw, changes));
}

const FIVE_THOUSAND = channelsOf({
  shape: [7, 7],
  size: [7, 7],
  activations: Array.from({ length: 5000 }, (_, i) => 1 + (i % 7)),
  contributions: Array.from({ length: 5000 }, (_, i) => 5000 - i),
});
describe("the order and the scale of channels", () => {
  it("is by the size of the contribution, or what else is asked for; NaN comes last", () => {
    const of = channels(channelsOf({ activations: [5, NaN, 7, 6], contributions: [0.5, NaN, -2, 1] }))!;
    expect(sorted(of, "size")).toEqual([2, 3, 0, 1]);
    expect(sorted(of, "contribution")).toEqual([3, 0, 2, 1]);
    expect(sorted(of, "activation")).toEqual([2, 3, 0, 1]);
    expect(sorted(of, "index")).toEqual([0, 1, 2, 3]);
  });

  it("keeps the index among equals, and one head's units together", () => {
    const of = channels({ ...TOKENS, contributions: onWire(new Float32Array(4)) })!;
    expect(sorted(of, "size")).toEqual([0, 1, 2, 3]);
    expect(sorted(of, "size", 1)).toEqual([2, 3]);
  });

  it("ends at the largest of all, or of each", () => {
    const { activation } = channels(SIX)!;
    expect(limits(activation, "all", true, 0)(0)).toBeCloseTo(3);
    expect(limits(activation, "all", false, 0)(0)).toBe(1);
    expect(limits(channels(VECTOR)!.activation, "all", false, 0)(2)).toBe(0);
  });

  it("moves in two dimensions and stays inside", () => {
    const to = (key: string, from: number): number | undefined => indexAfter(key, from, 10, 4, 2);
    expect(to("ArrowDown", 1)).toBe(5);
    expect(to("ArrowDown", 7)).toBe(9); // into the shorter last row
    expect(to("ArrowDown", 8)).toBe(8);
    expect(to("ArrowUp", 2)).toBe(2);
    expect(to("ArrowLeft", 4)).toBe(3);
    expect(to("ArrowRight", 9)).toBe(9);
    expect(to("PageDown", 0)).toBe(8);
    expect(to("Home", 7)).toBe(0);
    expect(to("End", 0)).toBe(9);
    expect(to("Escape", 0)).toBeUndefined();
  });
});

describe("the grid", () => {
  it("is hidden until a layer is picked, and in a kernel that knows of no channels", () => {
    draw(withLayer(SIX, { layer: null, channels: {} }));
    expect(find(".as-inside").hidden).toBe(true);
    view.model.receive({ layer: "stem", channels: SIX });
    view.frame();
    expect(find(".as-inside").hidden).toBe(false);
    expect(find(".as-channels .as-title").textContent).toBe("Inside stem");
    expect(find(".as-channels .as-hint").textContent).toBe("6 channels of 4 × 4");
    view.end();
    draw({ layer: "stem" });
    expect(view.el.querySelector(".as-inside")).toBeNull();
  });

  it("says of each channel what and how much, most important first", () => {
    drawInside(SIX, { ablated: [["stem", 5]] });
    expect(order()).toEqual([1, 4, 5, 2, 0, 3]);
    expect(unit(5).textContent).toBe("channel 5, contribution +0.820, activation 1.31, switched off");
    expect(unit(1).textContent).toBe("channel 1, contribution −2.00, activation 0.500");
    expect(units().map((one) => one.getAttribute("aria-posinset"))).toEqual(["1", "2", "3", "4", "5", "6"]);
    expect(unit(1).getAttribute("aria-setsize")).toBe("6");
    choose("Order", "activation");
    view.frame();
    expect(order()[0]).toBe(4);
    expect(unit(4).textContent).toBe("channel 4, activation 3.00, contribution +1.50");
    expect(view.model.saves).toEqual([]); // how it is looked at is no choice of the kernel's
  });

  it("paints through the present colour map, on one scale or each its own", () => {
    vi.spyOn(HTMLElement.prototype, "offsetWidth", "get").mockReturnValue(64);
    vi.spyOn(HTMLElement.prototype, "offsetHeight", "get").mockReturnValue(64);
    const recording = recordCanvases();
    drawInside(channelsOf({ activations: [4, 2, 1, NaN], contributions: [3, -2, 1, NaN] }));
    const painted = (): number => {
      const before = recording.puts;
      resize(220, 400);
      view.frame();
      return recording.puts - before;
    };
    expect(painted()).toBe(3); // and none for NaN
    expect(painted()).toBe(0); // nothing changed
    const sheet = find(".as-sheet") as HTMLCanvasElement;
    const last = (): number => recording.pixels.get(sheet)![3]!; // of the last one: its largest value
    const table = colourTable(lut(sampleTraits().luts!.seq!)!, "positive", 1);
    expect(last()).toBe(table[640]); // a quarter of the largest of all
    choose("Scale", "own");
    expect(painted()).toBe(3);
    expect(last()).toBe(table[1023]);
    choose("Show", "contribution");
    painted();
    expect(last()).toBe(colourTable(lut(sampleTraits().luts!.div!)!, "all", 1)[1023]);
  });

  it("holds 5,000 channels with few elements, wherever it is scrolled to", () => {
    drawInside(FIVE_THOUSAND);
    resize(720, 420);
    const bounded = (): void => expect(all(".as-channels *").length).toBeLessThan(2500);
    bounded();
    expect(units().length).toBeLessThan(250);
    expect(unit(0).getAttribute("aria-setsize")).toBe("5000");
    const box = find(".as-units");
    for (const top of [900, 26_000, 53_000]) {
      box.scrollTop = top;
      box.dispatchEvent(new Event("scroll"));
      bounded();
    }
    expect(order()).toContain(4999);
    expect(order()).toContain(0); // the one that Tab reaches
    type("Channel", "2500");
    expect(order()).toContain(2500);
    expect(unit(2500).tabIndex).toBe(0);
  }, 20_000);

  it("goes to a channel by number and says when there is none", () => {
    drawInside(SIX);
    type("Channel", "9");
    expect(all(".as-nothing").map((one) => one.textContent)).toContain("No channel “9”: they go from 0 to 5");
    type("Channel", "3");
    press(inputOf("Channel"), "Enter");
    expect(document.activeElement).toBe(unit(3));
    expect(find(".as-channels > .as-nothing").hidden).toBe(true);
  });

  it("is walked by keys in two dimensions, with one channel in the order of Tab", () => {
    drawInside(SIX);
    resize(220, 400); // three in a row
    unit(1).focus();
    press(unit(1), "ArrowDown");
    expect(document.activeElement).toBe(unit(2));
    press(unit(2), "ArrowRight");
    expect(document.activeElement).toBe(unit(0));
    press(unit(0), "ArrowUp");
    expect(document.activeElement).toBe(unit(4));
    press(unit(4), "End");
    expect(document.activeElement).toBe(unit(3));
    press(unit(3), "Home");
    expect(units().filter((one) => one.tabIndex === 0)).toEqual([unit(1)]);
    const escape = new KeyboardEvent("keydown", { key: "Escape", bubbles: true, cancelable: true });
    unit(1).dispatchEvent(escape);
    expect(escape.defaultPrevented).toBe(false);
    press(unit(1), "x", { ctrlKey: true });
    expect(view.model.values.ablated).toEqual([]);
  });

  it("picks with Enter, unpicks with Enter, and leaves a walk half way", () => {
    drawInside(SIX, { alpha: 0.5 });
    press(unit(4), "Enter");
    view.frame();
    expect(view.model.saves).toEqual([{ neuron: 4, alpha: 1 }]);
    expect(unit(4).getAttribute("aria-selected")).toBe("true");
    press(unit(4), " ");
    view.frame();
    expect(view.model.values.neuron).toBeNull();
  });

  it("goes from a place inside a channel back to the whole of it", () => {
    drawInside(SIX, { neuron: [4, 1, 2] });
    expect(unit(4).getAttribute("aria-selected")).toBe("true");
    unit(4).click();
    expect(view.model.values.neuron).toBe(4);
  });

  it("switches the channel off and on with x, also partly off ones", () => {
    drawInside(SIX, { ablated: [["stem", [2, 0, 0]]] });
    expect(unit(2).textContent).toContain(", partly switched off");
    press(unit(4), "x");
    view.frame();
    expect(view.model.saves).toEqual([
      {
        ablated: [
          ["stem", [2, 0, 0]],
          ["stem", 4],
        ],
      },
    ]);
    expect(unit(4).textContent).toContain(", switched off");
    press(unit(4), "x");
    expect(view.model.values.ablated).toEqual([["stem", [2, 0, 0]]]);
  });

  it("says that it is out of date, and picks nothing of another layer", () => {
    drawInside(SIX);
    view.model.receive({ target: 2 });
    view.frame();
    const card = find(".as-channels");
    expect(card.dataset.stale).toBe("1");
    expect(card.querySelector(".as-tag")!.textContent).toBe("updating");
    unit(4).click(); // the channels are this layer's all the same
    expect(view.model.values.neuron).toBe(4);
    view.model.receive({ layer: "stem.conv", neuron: null });
    view.frame();
    expect(find(".as-channels .as-title").textContent).toBe("Inside stem");
    unit(1).click();
    press(unit(1), "x");
    expect(view.model.values.neuron).toBeNull();
    expect(view.model.values.ablated).toEqual([]);
  });

  it("keeps the focus on its channel while the numbers change", () => {
    drawInside(SIX);
    unit(0).focus();
    view.model.receive({
      channels: channelsOf({ activations: [1, 1, 1, 1, 1, 1], contributions: [9, 1, 2, 3, 4, 5] }),
    });
    view.frame();
    expect(order()[0]).toBe(0);
    expect(document.activeElement).toBe(unit(0));
  });

  it("begins anew at another layer, with fewer channels", () => {
    drawInside(SIX, { neuron: null });
    type("Channel", "5");
    const few = channelsOf({ layer: "stem.conv", activations: [1, 2], contributions: [1, 2] });
    view.model.receive({ layer: "stem.conv", channels: few });
    view.frame();
    expect(order()).toEqual([1, 0]);
    expect(unit(1).tabIndex).toBe(0);
  });

  it("shows NaN as such, and not as zero", () => {
    drawInside(VECTOR);
    expect(unit(2).getAttribute("aria-label")).toBe("unit 2, contribution NaN, activation NaN");
    expect(unit(2).dataset.nan).toBe("1");
    expect(unit(2).style.backgroundColor).toBe("");
    expect(unit(1).style.backgroundColor).not.toBe("");
    expect(order()).toEqual([1, 0, 2]);
    view.end();
    drawInside(channelsOf({ activations: [NaN, 1], contributions: [NaN, 1] }));
    expect(unit(0).dataset.nan).toBe("1");
    expect(unit(0).textContent).toContain("contribution NaN");
  });

  it("shows what there is of a model without gradients", () => {
    const { contributions, parts, part_scales, ...without } = SIX;
    expect([contributions, parts, part_scales]).not.toContain(undefined);
    drawInside(without);
    expect(order()).toEqual([4, 2, 5, 0, 1, 3]);
    expect(unit(4).textContent).toBe("channel 4, activation 3.00");
    const offered = (label: string): string[] =>
      all(`select[aria-label="${label}"] option`).map((one) => one.getAttribute("value") ?? "");
    expect(offered("Order")).toEqual(["activation", "index"]);
    expect(offered("Show")).toEqual(["activation"]);
  });

  it("says of a saved page that the channels of another layer are not in it", () => {
    drawInside({}, { _live: false, layer: "stem" });
    expect(find(".as-channels .as-nothing:not([hidden])").textContent).toBe("Channels are not saved");
  });

  it("counts malformed channels as not there", () => {
    vi.spyOn(console, "warn").mockImplementation(() => undefined);
    drawInside({ ...SIX, count: 60 });
    expect(units()).toEqual([]);
    expect(find(".as-channels .as-nothing:not([hidden])").textContent).toBe("Nothing to pick from here");
    view.model.receive({ channels: {}, status: "running" });
    view.frame();
    expect(find(".as-channels .as-nothing:not([hidden])").textContent).toBe("Computing what is inside");
  });

  it("passes on what the kernel has to say about the channels, as text", () => {
    drawInside({ ...SIX, notice: "<img src=x> 3 channels hold NaN" });
    expect(find(".as-channels .as-warning").textContent).toBe("<img src=x> 3 channels hold NaN");
    expect(view.el.querySelector("img")).toBeNull();
  });

  it("picks nothing without a kernel, but can be looked at", () => {
    drawInside(SIX, { _live: false });
    expect(find(".as-units").getAttribute("aria-disabled")).toBe("true");
    unit(4).click();
    press(unit(4), "x");
    expect(view.model.values).toMatchObject({ neuron: null, ablated: [] });
    choose("Order", "index");
    view.frame();
    expect(order()[0]).toBe(0);
  });
});

describe("tokens and vectors", () => {
  it("are strips by unit, with heads to choose from", () => {
    drawInside(TOKENS);
    expect(find(".as-units").dataset.look).toBe("strips");
    expect(unit(3).textContent).toBe("unit 3, head 1, contribution +4.00, activation 4.00");
    choose("Head", "0");
    view.frame();
    expect(order()).toEqual([1, 0]);
    type("Channel", "3"); // of another head
    expect(order()).toContain(3);
    expect(selectOf("Head").value).toBe("all");
  });

  it("tell the word under the pointer, as text, and pick it in a picked unit", () => {
    drawInside(TOKENS, { neuron: 3 });
    const strip = unit(3).querySelector(".as-channel")!;
    vi.spyOn(strip, "getBoundingClientRect").mockReturnValue({ left: 10, width: 90 } as DOMRect);
    strip.dispatchEvent(new MouseEvent("pointermove", { bubbles: true, clientX: 50 }));
    expect(find(".as-channels > .as-readout").textContent).toContain(
      "position 1 “<b>cat</b>”: activation ≈ 2.02",
    );
    strip.dispatchEvent(new MouseEvent("click", { bubbles: true, clientX: 95 }));
    expect(view.model.values.neuron).toEqual([3, 2]);
    const other = unit(2).querySelector(".as-channel")!;
    vi.spyOn(other, "getBoundingClientRect").mockReturnValue({ left: 10, width: 90 } as DOMRect);
    other.dispatchEvent(new MouseEvent("click", { bubbles: true, clientX: 95 }));
    expect(view.model.values.neuron).toBe(2);
    expect(view.el.querySelector("b")).toBeNull();
  });

  it("are squares without anything to read but their names", () => {
    drawInside(VECTOR);
    expect(find(".as-units").dataset.look).toBe("squares");
    expect(units()[0]!.children).toHaveLength(0);
    expect(find(".as-channels .as-hint").textContent).toBe("3 units");
    unit(1).dispatchEvent(new MouseEvent("pointermove", { bubbles: true }));
    expect(find(".as-channels > .as-readout").textContent).toBe(
      "unit 1, contribution +2.00, activation −2.00",
    );
  });

  it("change places with maps", () => {
    drawInside(VECTOR);
    view.model.receive({ layer: "stem", channels: SIX });
    view.frame();
    expect(unit(1).textContent).toContain("channel 1");
    view.model.receive({ layer: "fc", channels: VECTOR });
    view.frame();
    expect(units()[0]!.children).toHaveLength(0);
  });
});

describe("the grid standing alone", () => {
  it("needs nothing but channels", () => {
    draw();
    view.end();
    document.body.replaceChildren();
    const { channels: only, neuron } = withLayer(SIX);
    draw({
      ...Object.fromEntries(Object.keys(sampleTraits()).map((name) => [name, undefined])),
      _part: "channels",
      channels: only,
      neuron,
    });
    expect(order()).toEqual([1, 4, 5, 2, 0, 3]);
    unit(4).click();
    view.frame();
    expect(view.model.saves).toEqual([{ neuron: 4 }]);
    expect(find(".as-channels .as-title").textContent).toBe("Inside stem");
    press(unit(4), "x"); // nothing to switch off with
    expect(view.model.values.ablated).toBeUndefined();
  });
});
