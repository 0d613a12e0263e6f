/** The layers: bars, the slider, scrubbing, and trees of any size. */
import { describe, expect, it, vi } from "vitest";
import { layerRelevance } from "../../src/selection/relevance";
import type { LayerRow } from "../../src/state/messages.generated";
import { SCRUB_REST_MS, State } from "../../src/state/state";
import type { Traits } from "../../src/state/traits.generated";
import { FakeModel, sampleTraits } from "../support/fake";
import { LAYERS, layerTraits, sampleLayerMaps } from "../support/layer-traits";
import {
  all,
  buttonOf,
  canvas,
  choose,
  draw,
  drawn,
  find,
  inputOf,
  labelled,
  press,
  selectOf,
  slide,
  treeItem,
  type,
  useViews,
  view,
} from "../support/view";

useViews();

const show = (changes: Partial<Traits> = {}): void => draw(layerTraits(changes));
const title = (): string => find(".as-overlay .as-title").textContent;
const spoken = (): string => find(".as-overlay > .as-unseen[aria-live]").textContent;

describe("how much passes", () => {
  it("is a bar in each row, its length against the longest, and its amount in the row's text", () => {
    show();
    const bar = (name: string): HTMLElement => treeItem(name).querySelector(".as-relevance")!;
    expect(bar("stem.conv").style.getPropertyValue("--as-share")).toBe((2 / 8.31).toFixed(4));
    expect(bar("stem.conv").dataset.sign).toBe("-");
    expect(bar("").style.getPropertyValue("--as-share")).toBe("1.0000");
    expect(bar("").dataset.sign).toBeUndefined();
    expect(treeItem("").textContent).toContain(", carries +8.31, ");
    expect(treeItem("stem.conv").title).toContain("carries −2.00: How much passes.");
    expect(treeItem("stem.act").textContent).not.toContain("carries"); // null: not known
  });

  it("is worked out once, however many layers one scrubs through", () => {
    const state = new State(new FakeModel(sampleTraits(layerTraits())), new AbortController().signal);
    const before = layerRelevance(state.view);
    expect(before[0]!.words).toBe("carries +8.31");
    state.scrub("layer", "stem");
    state.scrub("neuron", 1);
    expect(layerRelevance(state.view)).toBe(before);
    state.choose("example", 1);
    expect(layerRelevance(state.view)).toEqual([]);
  });

  it("is not told for other choices than the present ones", () => {
    show();
    view.model.receive({ target: 2 });
    view.frame();
    expect(treeItem("").textContent).not.toContain("carries");
    view.model.receive({ layer_relevance: { request: { target: 2 }, values: [1, 2, 0, 0, 0, 0] } });
    view.frame();
    expect(treeItem("stem").textContent).toContain("carries +2.00");
  });
});

describe("rows", () => {
  it("may be picked without a map, and say why where they may not", () => {
    show();
    expect(treeItem("fc").getAttribute("aria-disabled")).toBeNull();
    expect(treeItem("spare").textContent).toContain(", did not run");
    treeItem("fc").click();
    view.frame();
    expect(view.model.saves).toEqual([{ layer: "fc" }]);
    expect(find(".as-notes").textContent).toBe("no map: layer fc gives 10 numbers");
    expect(canvas().getAttribute("aria-label")).toBe("Picture. No map over it: layer fc gives 10 numbers.");
    treeItem("spare").click();
    expect(view.model.values.layer).toBe("fc");
  });

  it("leave the picked neuron with its layer, in one go", () => {
    show({ layer: "fc", neuron: 3 });
    treeItem("").click();
    view.frame();
    expect(view.model.saves).toEqual([{ layer: "", neuron: null }]);
  });
});

describe("scrubbing", () => {
  it("shows one layer after the other without a message, and tells the kernel once", () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      show();
      const slider = labelled("Depth");
      const words: string[] = [];
      for (const key of ["]", "]", "]", "]", "["]) {
        press(slider, key);
        view.frame();
        words.push(title());
      }
      const at = (name: string): string => `Grad-CAM at ${name} for cat`;
      expect(words).toEqual(["stem", "stem.conv", "stem.act", "stem.act", "stem.conv"].map(at));
      expect(find(".as-overlay").dataset.stale).toBeUndefined();
      expect(find(".as-overlay .as-tag").hidden).toBe(true);
      vi.advanceTimersByTime(100); // the tree takes its time
      expect(treeItem("stem.conv").getAttribute("aria-selected")).toBe("true");
      expect(view.model.saves).toEqual([]);
      expect(view.model.sent).toEqual([]);
      vi.advanceTimersByTime(SCRUB_REST_MS);
      expect(view.model.saves).toEqual([{ layer: "stem.conv" }]);
    } finally {
      vi.useRealTimers();
    }
  });

  it("draws the map of each layer on a scale of its own, and nothing anew when the kernel says the same", () => {
    show();
    press(canvas(), "]");
    press(canvas(), "]");
    view.frame();
    const before = drawn();
    expect(find(".as-ticks").textContent).toBe("−1.0001.00");
    press(canvas(), "]");
    view.frame();
    expect(find(".as-ticks").textContent).toBe("−2.0002.00");
    expect(drawn()).not.toEqual(before);
    expect(find(".as-notes").textContent).toContain("sum −3.20");
    const count = canvas().dataset.drawn;
    view.model.receive({ status: "running" });
    view.frame();
    expect(canvas().dataset.drawn).toBe(count);
  });

  it("is heard: from the slider, the picture and the tree", () => {
    show();
    const slider = inputOf("Depth");
    expect(slider.getAttribute("aria-valuetext")).toBe("Input, before 3 layers");
    expect(slider.max).toBe("3");
    slide("Depth", 1);
    view.frame();
    expect(slider.getAttribute("aria-valuetext")).toBe("stem, 1 of 3, sum +12.0");
    press(canvas(), "]");
    expect(spoken()).toBe("stem.conv, 2 of 3");
    treeItem("stem.conv").focus();
    press(treeItem("stem.conv"), "]");
    expect(document.activeElement).toBe(treeItem("stem.act"));
    press(treeItem("stem.act"), "[");
    expect(document.activeElement).toBe(treeItem("stem.conv")); // one step, not two
  });

  it("leaves brackets to whoever searches for them", () => {
    show();
    press(labelled("Search layers"), "]");
    press(labelled("Depth"), "]", { ctrlKey: true });
    expect(view.model.values.layer).toBeNull();
    press(labelled("Depth"), "]", { ctrlKey: true, altKey: true }); // AltGr
    expect(view.model.values.layer).toBe("stem");
  });

  it("asks the kernel where the page has no map, and goes on from layers without one", () => {
    show({ layer_maps: {} });
    slide("Depth", 2);
    view.frame();
    expect(view.model.saves).toEqual([{ layer: "stem.conv" }]);
    view.model.receive({ layer: "fc" });
    view.frame();
    expect(labelled("Depth").getAttribute("aria-valuetext")).toBe("fc, no map");
    press(labelled("Depth"), "[");
    expect(view.model.values.layer).toBe("stem.act");
  });

  it("goes on without a kernel, to where the page has been", () => {
    show({ _live: false });
    slide("Depth", 2);
    view.frame();
    expect(title()).toBe("Grad-CAM at stem.conv for cat");
    treeItem("fc").click(); // asks for what nobody can tell
    view.frame();
    expect(view.model.values.layer).toBe("stem.conv");
    buttonOf("Back to input").click();
    view.frame();
    expect(title()).toBe("Integrated Gradients for cat");
    expect(view.model.saves).toEqual([]);
  });

  it("leaves a neuron, and a walk", () => {
    show({ layer: "stem", neuron: 2, alpha: 0.5 });
    slide("Depth", 3);
    view.frame();
    expect(view.model.values).toMatchObject({ layer: "stem.act", neuron: null, alpha: 1 });
    expect(title()).toBe("Grad-CAM at stem.act for cat");
  });
});

describe("the layer method", () => {
  it("is chosen above the tree", () => {
    show();
    expect([...selectOf("Layer method").options].map(({ text }) => text)).toEqual([
      "Grad-CAM",
      "Integrated Gradients",
    ]);
    choose("Layer method", "LayerIntegratedGradients");
    view.frame();
    expect(view.model.saves).toEqual([{ layer_method: "LayerIntegratedGradients" }]);
    expect(labelled("Depth").getAttribute("aria-valuetext")).toBe("Input, before 3 layers");
  });

  it("has its settings in the toolbar while its map is on show, as a neuron's method has", () => {
    show({ layer: "stem", layer_method: "LayerIntegratedGradients" });
    const steps = find('[data-parameter="Steps"]') as HTMLInputElement;
    steps.value = "9";
    steps.dispatchEvent(new Event("change"));
    view.frame();
    expect(view.model.saves).toEqual([{ settings: { LayerIntegratedGradients: { n_steps: 9 } } }]);
    view.model.receive({ neuron: 2 });
    view.frame();
    expect(buttonOf("Settings of Gradient").hidden).toBe(false);
    view.model.receive({ neuron: null, layer: "fc" });
    view.frame();
    expect(buttonOf("Settings").hidden).toBe(false); // no map there: the input's method
    view.model.receive({ layer: "stem", layer_method: "LayerGradCam" });
    view.frame();
    expect(buttonOf("Settings of Grad-CAM").hidden).toBe(true); // it has none
  });
});

describe("the way back", () => {
  it("leads from a neuron to its layer, and from both to the input", () => {
    show({ layer: "stem", neuron: 2, layer_maps: {} });
    expect(buttonOf("Back to input").hidden).toBe(false);
    buttonOf("Back to layer").click();
    view.frame();
    expect(view.model.saves).toEqual([{ neuron: null }]);
    expect(buttonOf("Back to layer").hidden).toBe(true);
    buttonOf("Back to input").focus();
    view.model.receive({ neuron: 2 });
    buttonOf("Back to input").click();
    view.frame();
    expect(view.model.saves[1]).toEqual({ layer: null, neuron: null });
    expect(buttonOf("Back to input").hidden).toBe(true);
    expect(document.activeElement).toBe(canvas()); // the focus is not lost
  });
});

describe("a tree of ten thousand modules", () => {
  const COUNT = 10_000;
  const many: LayerRow[] = [
    LAYERS[0]!,
    ...Array.from({ length: COUNT }, (_, i) => ({ ...LAYERS[2]!, name: `block${i}`, depth: 1 })),
  ];

  it("has few rows in the document, which say where they stand among all", () => {
    show({ layers: many });
    expect(all("[role=treeitem]").length).toBeLessThan(60);
    expect(treeItem("block9").getAttribute("aria-setsize")).toBe(String(COUNT));
    expect(treeItem("block9").getAttribute("aria-posinset")).toBe("10");
    expect(treeItem("block9").getAttribute("aria-level")).toBe("2");
    expect(treeItem("").getAttribute("aria-posinset")).toBe("2");
    expect(treeItem("").getAttribute("aria-setsize")).toBe("2");
  });

  it("is walked by keys to its end and back, with one row in the order of Tab", () => {
    show({ layers: many });
    const first = all("[role=treeitem]")[0]!;
    first.focus();
    press(first, "End");
    expect(document.activeElement).toBe(treeItem(`block${COUNT - 1}`));
    expect(all("[role=treeitem][tabindex='0']")).toEqual([treeItem(`block${COUNT - 1}`)]);
    press(document.activeElement!, "PageUp");
    expect(document.activeElement).toBe(treeItem(`block${COUNT - 11}`));
    press(document.activeElement!, "ArrowLeft");
    expect(document.activeElement).toBe(treeItem(""));
    press(treeItem(""), "ArrowLeft"); // closes the model
    expect(all("[role=treeitem]")).toHaveLength(2);
    expect(document.activeElement).toBe(treeItem(""));
  });

  it("finds and picks any of them", () => {
    show({ layers: many });
    type("Search layers", "block7777");
    expect(all("[role=treeitem]").map((row) => row.dataset.name)).toEqual(["", "block7777"]);
    treeItem("block7777").click();
    view.frame();
    expect(view.model.values.layer).toBe("block7777");
    type("Search layers", "");
    expect(treeItem("block7777").getAttribute("aria-selected")).toBe("true"); // where the focus is
  });

  it("goes from one to the next in a moment", () => {
    show({ layers: many, layer_maps: {}, layer: "block5000" });
    const begin = performance.now();
    for (let i = 0; i < 50; i++) {
      press(canvas(), "]");
      view.frame();
    }
    expect(view.model.values.layer).toBe("block5050");
    expect((performance.now() - begin) / 50).toBeLessThan(30); // about 4 ms here, of which most is happy-dom
  });

  it("stays with the focus when other layers come", () => {
    show();
    treeItem("stem").focus();
    view.model.receive({ layers: [...LAYERS] });
    view.frame();
    expect(find(".as-tree").contains(document.activeElement)).toBe(true);
  });
});

describe("with nothing to scrub", () => {
  it("there is no slider", () => {
    show({ layers: LAYERS.filter(({ spatial }) => !spatial), layer_maps: {} });
    expect(find(".as-river").hidden).toBe(true);
    expect(find(".as-all-layers").hidden).toBe(false); // then the tree is all there is
  });

  it("a kernel that knows no layer methods has no select for them", () => {
    draw();
    expect(view.el.querySelector('[aria-label="Layer method"]')).toBeNull();
    expect(sampleLayerMaps().names).toHaveLength(
      sampleTraits().layers!.filter(({ spatial }) => spatial).length,
    );
  });
});
