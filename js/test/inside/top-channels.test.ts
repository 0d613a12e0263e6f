/** The channels that contribute most: their patches, the switch on each, and the line below. */
import { beforeEach, describe, expect, it } from "vitest";
import { channels } from "../../src/data/channels";
import { topChannels } from "../../src/inside/grid-controls";
import type { RawChannels } from "../../src/state/messages.generated";
import type { Traits } from "../../src/state/traits.generated";
import { onWire, recordCanvases } from "../support/fake";
import {
  channelsOf,
  infoOf,
  manualSizes,
  patchesOf,
  SIX,
  whatIfOf,
  withLayer,
} from "../support/inside-traits";
import { all, buttonOf, draw, find, press, useViews, view } from "../support/view";

useViews();
beforeEach(() => void manualSizes());

const tiles = (): HTMLElement[] => all(".as-top-unit");
const order = (): number[] => tiles().map((tile) => Number(tile.dataset.channel));
const pick = (channel: number): HTMLElement => find(`.as-top-unit[data-channel="${channel}"] .as-top-pick`);
const toggle = (channel: number): HTMLButtonElement =>
  find(`.as-top-unit[data-channel="${channel}"] .as-top-switch`) as HTMLButtonElement;
const canvasOf = (channel: number): HTMLCanvasElement => pick(channel).querySelector("canvas")!;

const PATCHES = patchesOf({ 1: [9, 8, 7, 6], 4: [5] });

function drawTop(raw: RawChannels = SIX, changes: Partial<Traits> = {}): void {
  draw(withLayer(raw, { patches: PATCHES, ...changes }));
}

describe("the top channels", () => {
  it("are the twelve that contribute most, for or against", () => {
    drawTop();
    expect(order()).toEqual([1, 4, 5, 2, 0, 3]);
    const many = channelsOf({
      activations: Array.from({ length: 40 }, () => 1),
      contributions: Array.from({ length: 40 }, (_, i) => (i % 2 ? -i : i)),
    });
    view.model.receive({ channels: many });
    view.frame();
    expect(order()).toEqual([39, 38, 37, 36, 35, 34, 33, 32, 31, 30, 29, 28]);
    const { contributions, parts, part_scales, ...without } = channelsOf({
      activations: [1, -5, NaN, 3],
      contributions: [0, 0, 0, 0],
    });
    expect([contributions, parts, part_scales]).not.toContain(undefined);
    expect(topChannels(channels(without)!)).toEqual([1, 3, 0, 2]);
  });

  it("show the patches that excite them most, and say which these are", () => {
    const { steps } = recordCanvases();
    drawTop();
    const drawn = (channel: number): number =>
      steps.get(canvasOf(channel))!.filter((one) => one.startsWith("draw")).length;
    expect(drawn(1)).toBe(4);
    expect(drawn(4)).toBe(1);
    expect(drawn(5)).toBe(1); // no patches: what it holds
    expect(pick(1).getAttribute("aria-label")).toBe(
      "channel 1, contribution −2.00, activation 0.500, most excited by " +
        "example 1 (9.00); example 2 (8.00); example 3 (7.00); example 4 (6.00)",
    );
    expect(pick(5).getAttribute("aria-label")).toBe("channel 5, contribution +0.820, activation 1.31");
    expect(pick(1).textContent).toBe("1−2.0");
    view.model.receive({ patches: patchesOf({ 5: [1, 1] }) });
    view.frame();
    expect(drawn(5)).toBe(3); // its two come in place of that
  });

  it("show no patches of another layer", () => {
    drawTop(SIX, { patches: patchesOf({ 1: [9] }, { request: { layer: "fc" } }) });
    expect(pick(1).getAttribute("aria-label")).not.toContain("excited");
  });

  it("are not drawn again while nothing of them changes", () => {
    const { steps } = recordCanvases();
    drawTop();
    const before = steps.get(canvasOf(1))!.length;
    view.model.receive({ neuron: 4 });
    view.frame();
    view.model.receive({ status: "running" });
    view.frame();
    expect(steps.get(canvasOf(1))!).toHaveLength(before);
  });

  it("are picked, and left again", () => {
    drawTop();
    pick(4).click();
    view.frame();
    expect(view.model.saves).toEqual([{ neuron: 4 }]);
    expect(pick(4).getAttribute("aria-pressed")).toBe("true");
    pick(4).click();
    view.frame();
    expect(view.model.values.neuron).toBeNull();
  });

  it("are switched off right there, and the answer stands below them", () => {
    drawTop();
    toggle(4).click();
    view.frame();
    expect(view.model.saves).toEqual([{ ablated: [["stem", 4]] }]);
    expect(toggle(4).getAttribute("aria-pressed")).toBe("true");
    expect(find('.as-top-unit[data-channel="4"]').dataset.off).toBe("all");
    view.model.receive({ what_if: whatIfOf([["stem", 4]]) });
    view.frame();
    expect(find(".as-whatif-words").textContent).toBe(
      "Channel 4 switched off: cat 70.0% → 12.4%, dog 20.0% → 60.0%",
    );
    const card = find(".as-channels");
    expect(card.compareDocumentPosition(find(".as-whatif")) & Node.DOCUMENT_POSITION_FOLLOWING).toBeTruthy();
    buttonOf("Undo").focus();
    buttonOf("Undo").click();
    view.frame();
    expect(view.model.values.ablated).toEqual([]);
    expect(document.activeElement).toBe(pick(1)); // the line went, the focus did not
  });

  it("are walked by keys, with one of them in the order of Tab", () => {
    drawTop();
    const tab = (): number[] =>
      tiles().flatMap((tile) =>
        tile.querySelector<HTMLElement>(".as-top-pick")!.tabIndex === 0 ? [Number(tile.dataset.channel)] : [],
      );
    expect(tab()).toEqual([1]);
    pick(1).focus();
    press(pick(1), "ArrowRight");
    expect(document.activeElement).toBe(pick(4));
    press(pick(4), "End");
    expect(document.activeElement).toBe(pick(3));
    expect(tab()).toEqual([3]);
    press(pick(3), "x");
    view.frame();
    expect(view.model.values.ablated).toEqual([["stem", 3]]);
    press(pick(3), "x", { ctrlKey: true });
    expect(view.model.values.ablated).toEqual([["stem", 3]]);
  });

  it("can be looked at without a kernel", () => {
    drawTop(SIX, { _live: false });
    expect(toggle(1).disabled).toBe(true);
    pick(1).click();
    press(pick(1), "x");
    expect(view.model.values).toMatchObject({ neuron: null, ablated: [] });
  });

  it("pick nothing of another layer", () => {
    drawTop();
    view.model.receive({ layer: "stem.conv" });
    view.frame();
    pick(1).click();
    toggle(1).click();
    expect(view.model.values).toMatchObject({ neuron: null, ablated: [] });
  });
});

describe("all channels", () => {
  it("are there on demand", () => {
    drawTop();
    const panel = find(".as-all-channels");
    expect(panel.hidden).toBe(true);
    buttonOf("All channels").click();
    expect(panel.hidden).toBe(false);
    expect(panel.querySelectorAll(".as-unit")).toHaveLength(6);
    view.end();
    draw(withLayer(SIX)); // a kernel that knows of no patches
    expect(all(".as-top, .as-all-channels")).toHaveLength(0);
    expect(all(".as-unit")).toHaveLength(6);
  });
});

describe("the picked neuron", () => {
  it("shows what excites it most, as far as that is known", () => {
    drawTop(SIX, { neuron: 4, neuron_info: infoOf(4) });
    const row = (): string[] => all(".as-patches li").map((one) => one.textContent);
    expect(row()).toEqual(["example 1 (5.00)"]);
    view.model.receive({ neuron: 5 });
    view.frame();
    expect(find(".as-patches").parentElement!.hidden).toBe(true);
    view.model.receive({ patches: patchesOf({ 5: [2, 1] }, { data: onWire(new Uint8Array(24)) }) });
    view.frame();
    expect(row()).toEqual(["example 1 (2.00)", "example 2 (1.00)"]);
  });
});
