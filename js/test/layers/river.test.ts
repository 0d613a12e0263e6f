/** The river: what is drawn on it, and going along it by pointer and by key. */
import { describe, expect, it, vi } from "vitest";
import { colourTable } from "../../src/data/colour-tables";
import { lut } from "../../src/data/messages";
import type { LayerRow } from "../../src/state/messages.generated";
import type { Traits } from "../../src/state/traits.generated";
import { recordCanvases, sampleTraits } from "../support/fake";
import { LAYERS, layerTraits, sampleLayerMaps } from "../support/layer-traits";
import {
  all,
  buttonOf,
  draw,
  find,
  inputOf,
  labelled,
  press,
  slide,
  treeItem,
  useViews,
  view,
} from "../support/view";

useViews();

const show = (changes: Partial<Traits> = {}): void => draw(layerTraits(changes));
const maps = (): HTMLCanvasElement[] => all(".as-river-map > canvas") as HTMLCanvasElement[];
const pieces = (): HTMLElement[] => all(".as-river-piece");
const words = (): string => find(".as-river-words").textContent;
const picked = (): number => all(".as-river-map").findIndex((map) => map.dataset.picked === "1");
const mark = (): number => Number(find(".as-river-mark").style.getPropertyValue("--as-at"));

/** The same layers, of which the stem hands on what its last layer gives. */
const MERGED: readonly LayerRow[] = LAYERS.map((layer) =>
  layer.name === "stem" ? { ...layer, order: 4, same_as: "stem.act", channels: 8 } : layer,
);

function point(kind: string, share: number, where = ".as-river-water"): void {
  const field = find(".as-river-field");
  vi.spyOn(field, "getBoundingClientRect").mockReturnValue({ left: 100, width: 400 } as DOMRect);
  field.setPointerCapture = () => undefined;
  field.hasPointerCapture = () => kind === "pointermove" && held;
  held = kind === "pointerdown" ? true : kind === "pointerup" ? false : held;
  find(where).dispatchEvent(
    new PointerEvent(kind, { bubbles: true, cancelable: true, clientX: 100 + 400 * share, pointerId: 1 }),
  );
}
let held = false;

describe("the river", () => {
  it("has the picture and each map once, in the order of execution", () => {
    show({ layers: MERGED });
    expect(maps()).toHaveLength(3); // the picture, stem.conv, and stem, which is stem.act
    expect(inputOf("Depth").max).toBe("2");
    for (const name of ["stem.conv", "stem"]) {
      press(labelled("Depth"), "]");
      view.frame();
      expect(view.model.values.layer).toBe(name);
    }
    expect(picked()).toBe(2);
  });

  it("says which colour is for and which against, and in its tooltip what is carried", () => {
    show({ layer_relevance: {} });
    const keys = find(".as-river-keys");
    expect(keys.hidden).toBe(true); // nothing is known of what passes
    const values = LAYERS.map((_, i) => (i === 1 ? -2 : 1));
    const request = { target: 7 };
    view.model.receive({ layer_relevance: { request, values, label: "gradient", doc: "How much." } });
    view.frame();
    expect(keys.hidden).toBe(false);
    expect([...keys.children].map((key) => key.textContent)).toEqual(["for", "against"]);
    expect(find(".as-river-legend").title).toContain("How much.");
    point("pointermove", 0.5);
    expect(find(".as-river-field").title).toMatch(/carries .*\nCarries: How much\.$/);
  });

  it("stays at its stop when another layer of the same map is picked", () => {
    show({ layers: MERGED, layer: "stem.act" });
    expect(inputOf("Depth").value).toBe("2");
    expect(inputOf("Depth").getAttribute("aria-valuetext")).toBe("stem.act, 2 of 2, sum −3.20");
    press(labelled("Depth"), "[");
    expect(view.model.values.layer).toBe("stem.conv");
  });

  it("paints the maps small, in the present colours, and none again while one goes along", () => {
    const recording = recordCanvases();
    show();
    const table = colourTable(lut(sampleTraits().luts!.div!)!, "all", 1);
    const last = recording.pixels.get(maps()[3]!)!; // stem.act: 2 and −2, by its own scale
    expect([...last]).toEqual([table[1023], table[1]]);
    expect(maps()[3]!.width).toBe(2);
    const before = recording.puts;
    press(labelled("Depth"), "]");
    view.frame();
    press(labelled("Depth"), "]");
    view.frame();
    expect(recording.puts - before).toBeLessThanOrEqual(2); // the large ones
    view.model.receive({ sign: "positive" });
    view.frame();
    const positive = colourTable(lut(sampleTraits().luts!.seq!)!, "positive", 1);
    expect([...recording.pixels.get(maps()[3]!)!]).toEqual([positive[1023], positive[1]]);
  });

  it("is as wide as there are channels, and as deep as much passes", () => {
    show({ layers: LAYERS.map((layer) => ({ ...layer, channels: layer.name === "stem" ? 1 : 15 })) });
    expect(pieces()).toHaveLength(4);
    const [input, narrow, wide] = pieces().map((piece) => piece.getAttribute("d")!);
    const spread = (d: string): number => {
      const y = d.match(/ ([\d.]+)/g)!.map(Number);
      return Math.max(...y) - Math.min(...y);
    };
    expect(spread(input!)).toBeLessThan(spread(narrow!));
    expect(spread(wide!)).toBeCloseTo(100); // the most there are
    const shares = pieces().map((piece) => piece.style.getPropertyValue("--as-share"));
    expect(shares[1]).toBe(Math.sqrt(4 / 8.31).toFixed(3));
    expect(pieces().map((piece) => piece.dataset.sign)).toEqual([undefined, undefined, "-", undefined]);
    expect(pieces().map((piece) => piece.dataset.unknown)).toEqual(["1", undefined, undefined, "1"]);
  });

  it("says what lies under a pointer: name, kind, channels and sum", () => {
    show({ layers: MERGED });
    expect(words()).toBe("order of execution · width: channels · shade: what passes");
    point("pointermove", 0.9);
    expect(words()).toBe("stem · Sequential · 8 channels · carries +4.00 · sum +12.0 · same map: stem.act");
    point("pointermove", 0.5);
    expect(words()).toBe("stem.conv · Conv2d · 8 channels · carries −2.00");
    point("pointermove", 0.1);
    expect(words()).toBe("Input");
    find(".as-river-field").dispatchEvent(new PointerEvent("pointerleave"));
    expect(words()).toContain("order of execution");
    expect(view.model.values.layer).toBeNull();
  });

  it("is gone along by dragging, without a message, with the focus on the slider", () => {
    show();
    const places: number[] = [mark()];
    for (const [kind, share] of [
      ["pointerdown", 0.3],
      ["pointermove", 0.6],
      ["pointermove", 0.9],
      ["pointerup", 0.9],
      ["pointermove", 0.1],
    ] as const) {
      point(kind, share);
      view.frame();
      places.push(mark());
    }
    expect(view.model.values.layer).toBe("stem.act");
    expect(places).toEqual([0.125, 0.375, 0.625, 0.875, 0.875, 0.875]);
    expect(document.activeElement).toBe(labelled("Depth"));
    expect(view.model.saves).toEqual([]);
    point("pointerdown", 0.05);
    view.frame();
    expect(view.model.values.layer).toBeNull();
    expect(picked()).toBe(0);
  });

  it("goes to the layer of a map that is clicked", () => {
    show();
    point("pointerdown", 0.55, ".as-river-map:nth-child(3)");
    expect(view.model.values.layer).toBe("stem.conv");
  });

  it("stands still where nobody can say what is there", () => {
    show({ _live: false, layer_maps: {} });
    slide("Depth", 2);
    view.frame();
    expect(view.model.values.layer).toBeNull();
    expect(inputOf("Depth").value).toBe("0");
    expect(maps().map((canvas) => canvas.hidden)).toEqual([false, true, true, true]);
  });

  it("shows no maps of other choices", () => {
    show();
    expect(maps()[1]!.hidden).toBe(false);
    view.model.receive({ target: 2 });
    view.frame();
    expect(maps()[1]!.hidden).toBe(true);
    view.model.receive({
      layer_maps: sampleLayerMaps({ request: { target: 2, layer_method: "LayerGradCam" } }),
    });
    view.frame();
    expect(maps()[1]!.hidden).toBe(false);
  });
});

describe("a model of a thousand layers", () => {
  it("has few maps and pieces, and a stop for each", () => {
    const many: LayerRow[] = Array.from({ length: 1000 }, (_, i) => ({
      ...LAYERS[2]!,
      name: `blocks.${i}`,
      depth: 2,
      order: i,
    }));
    show({ layers: many, layer_maps: {} });
    expect(inputOf("Depth").max).toBe("1000");
    expect(maps()).toHaveLength(13);
    expect(pieces().length).toBeLessThanOrEqual(252);
    press(labelled("Depth"), "]");
    expect(view.model.values.layer).toBe("blocks.0");
  });
});

describe("all layers", () => {
  it("are there on demand, and at once where there is no river", () => {
    show();
    const panel = find(".as-all-layers");
    expect(panel.hidden).toBe(true);
    buttonOf("All layers").click();
    expect(panel.hidden).toBe(false);
    view.model.receive({ layer: "stem.conv" });
    view.frame();
    expect(treeItem("stem.conv").getAttribute("aria-selected")).toBe("true");
    view.end();
    show({ layers: LAYERS.filter(({ spatial }) => !spatial) });
    expect(find(".as-all-layers").hidden).toBe(false);
  });
});
