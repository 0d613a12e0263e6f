/** The maps of methods beside each other: their order, what is said of them, how they are drawn, and picking one. */
import { describe, expect, it } from "vitest";
import type { RawComparison, RawSmallMap } from "../../src/state/messages.generated";
import type { Traits } from "../../src/state/traits.generated";
import { smallMap } from "../../src/data/small-map";
import { headline, ranked, rankedBy } from "../../src/trust/ranking";
import { halves } from "../support/layer-traits";
import { comparedMethod } from "../support/trust";
import { all, buttonOf, choose, draw, find, puts, selectOf, slide, useViews, view } from "../support/view";

useViews();

const MAP: RawSmallMap = { shape: [1, 2], scale: 2, data: halves(1, -0.5) };

const method: typeof comparedMethod = (name, values, changes) =>
  comparedMethod(name, values, {
    notes: values.map((value) => (value === null ? "no order" : null)),
    map: MAP,
    ...changes,
  });

const COMPARISON: RawComparison = {
  title: "Explanations of cat, baseline zero",
  request: { target: 7, baseline: "zero", contrast: null, example: 0 },
  settings: {},
  final: true,
  outdated: false,
  awaited: [],
  metrics: [
    { name: "sparseness", arrow: "↑", better: "higher", doc: "" },
    { name: "deletion", arrow: "↓", better: "lower", doc: "Removes." },
  ],
  methods: [
    method("Saliency", [0.5, 3]),
    method("random", [0.4, 2], { label: "Random numbers", control: true }),
    method("DeepLift", [0.3, 1]),
    method("edges", [0.6, 4], { label: "Edges", control: true }),
    method("LayerGradCam", [0.9, 2], { label: "Grad-CAM", layer: "stem.conv" }),
    method("Broken", [null, null], { map: undefined as never }),
  ],
};

const compared = (changes: Partial<RawComparison> = {}, traits: Partial<Traits> = {}): void =>
  draw({
    comparison: { ...COMPARISON, ...changes },
    tab: "trust",
    layer_method: "LayerActivation",
    layer_methods: [],
    neuron: null,
    ...traits,
  });
const tiles = (): HTMLElement[] => all(".as-tile");
const names = (): (string | undefined)[] => tiles().map((one) => one.dataset.name);
const tile = (name: string): HTMLElement => find(`.as-tile[data-name="${name}"]`);
const wordsOf = (name: string): string => {
  const words = tile(name).querySelector<HTMLElement>(".as-tile-words")!;
  return words.hidden ? "" : words.textContent;
};
const pick = (name: string): HTMLButtonElement => tile(name).querySelector("button")!;
const canvasOf = (name: string): HTMLCanvasElement => tile(name).querySelector("canvas")!;

describe("the order", () => {
  it("is that of the usual metric, the best first, and what failed last", () => {
    compared();
    expect(names()).toEqual(["DeepLift", "random", "LayerGradCam", "Saliency", "edges", "Broken"]);
    expect(find(".as-tiles").getAttribute("aria-label")).toBe("Methods, the best by deletion first");
    expect(selectOf("Ranked by").value).toBe("deletion");
  });

  it("is that of the metric that somebody picks, and stays so when lines come", () => {
    compared();
    choose("Ranked by", "sparseness");
    view.frame();
    expect(names()).toEqual(["LayerGradCam", "edges", "Saliency", "random", "DeepLift", "Broken"]);
    expect(tile("DeepLift").textContent).toContain("sparseness 0.300");
    view.model.receive({ comparison: { ...COMPARISON, methods: COMPARISON.methods!.slice(2) } });
    view.frame();
    expect(names()).toEqual(["LayerGradCam", "edges", "DeepLift", "Broken"]);
  });

  it("goes by the first metric where there is no usual one", () => {
    expect(rankedBy({ metrics: COMPARISON.metrics!.slice(0, 1) }, undefined)).toBe(0);
    expect(rankedBy(COMPARISON, undefined)).toBe(1);
    expect(rankedBy(COMPARISON, "sparseness")).toBe(0);
    expect(rankedBy(COMPARISON, "gone")).toBe(1);
    expect(rankedBy({}, undefined)).toBe(0);
  });
});

describe("what is said", () => {
  it("tells a rough value from one that has been measured, and what is not judged yet", () => {
    const [sparseness, deletion] = COMPARISON.metrics!;
    compared({
      final: false,
      metrics: [sparseness!, { ...deletion!, rough: true }],
      methods: COMPARISON.methods!.map((one) => ({
        ...one,
        values: [null, one.values[1]!],
        notes: [null, null],
      })),
    });
    expect(tile("DeepLift").textContent).toContain("deletion ≈ 1.00");
    choose("Ranked by", "sparseness");
    view.frame();
    expect(wordsOf("DeepLift")).toBe("not judged yet");
    compared();
    expect(tile("DeepLift").textContent).toContain("deletion 1.00");
  });

  it("tells the best, and who is no better than a control, in words", () => {
    compared();
    expect(wordsOf("DeepLift")).toBe("best");
    expect(wordsOf("LayerGradCam")).toBe("no better than random"); // as good as is no better
    expect(wordsOf("Saliency")).toBe("no better than random");
    expect(wordsOf("random")).toBe("control");
    expect(wordsOf("Broken")).toBe("no order");
    expect(tiles().map((one) => one.dataset.standing)).toEqual([
      "best",
      "plain",
      "lost",
      "lost",
      "plain",
      "failed",
    ]);
  });

  it("never says of a method that lost that it is the best", () => {
    const found = ranked({ ...COMPARISON, methods: [method("a", [0, 5]), COMPARISON.methods![1]!] }, 1);
    expect(found.map(({ words }) => words)).toEqual(["control", "no better than random"]);
  });

  it("says the same of what reads the same, and of nothing else", () => {
    const of = (...values: number[]): string[] =>
      ranked({ ...COMPARISON, methods: values.map((value, i) => method(`m${i}`, [0, value])) }, 1).map(
        ({ value, words }) => `${value} ${words}`.trim(),
      );
    expect(of(0.7502, 0.7501, 0.76)).toEqual(["0.750 best", "0.750 best", "0.760"]);
    expect(of(0.748, 0.75, 0.75)).toEqual(["0.748 best", "0.750", "0.750"]);
    const control = method("random", [0, 0.7502], { control: true });
    const found = ranked({ ...COMPARISON, methods: [method("a", [0, 0.7501]), control] }, 1);
    expect(found.map(({ words }) => words)).toEqual(["no better than random", "control"]);
  });

  it("says nothing of controls where there are none", () => {
    const found = ranked({ ...COMPARISON, methods: [method("a", [0, 5]), method("b", [0, 4])] }, 1);
    expect(found.map(({ words }) => words)).toEqual(["best", ""]);
  });

  it("counts in words what there is", () => {
    compared();
    expect(find(".as-comparison .as-title").textContent).toBe(
      "Four methods and two controls on this picture",
    );
    expect(headline({ methods: [method("a", [1])], final: true })).toBe("One method on this picture");
    expect(headline({ methods: [method("a", [1])], final: false })).toBe("Methods on this picture");
    expect(headline({})).toBe("Methods on this picture");
  });

  it("keeps room for what is to come, by name", () => {
    compared({ awaited: ["<i>LRP</i>"], final: false }, { status: "running" });
    const last = tiles().at(-1)!;
    expect(last.dataset.awaited).toBe("1");
    expect(last.textContent).toBe("<i>LRP</i>…");
    expect(all(".as-tiles i")).toHaveLength(0);
  });

  it("takes text for text", () => {
    const evil = "<img src=x onerror=alert(1)>";
    compared({ methods: [method("a", [null, null], { label: evil, notes: [evil, evil] })] });
    expect(all(".as-tiles img")).toHaveLength(0);
    expect(tile("a").textContent).toContain(evil);
  });

  it("tells what was set to be quick", () => {
    compared({ methods: [method("Occlusion", [1, 2], { quick: { window: 32, moves_per_window: 1 } })] });
    expect(pick("Occlusion").title).toBe(
      "Show this method's map: Occlusion, quickly, with window 32, moves per window 1",
    );
  });
});

describe("the pictures", () => {
  it("are maps in 16 bits, with a scale of their own", () => {
    expect(smallMap(MAP)).toEqual({ w: 2, h: 1, values: Float32Array.of(2, -1) });
    expect(smallMap({ ...MAP, shape: [2, 2] })).toBeUndefined();
    expect(smallMap({ ...MAP, shape: [0, 2] })).toBeUndefined();
  });

  it("lie over the picture, and are restyled without asking the kernel", () => {
    compared();
    const seen = canvasOf("DeepLift");
    expect([seen.width, seen.height]).toEqual([240, 160]); // the picture has 3 by 2 pixels
    const before = puts();
    view.frame();
    expect(puts()).toBe(before); // what is drawn is not drawn again
    slide("Opacity", 0.2);
    view.frame();
    expect(puts()).toBe(before + 7); // the five maps, the big one and its legend
    expect(view.model.sent).toEqual([]);
  });

  it("have no picture below them that is of another example", () => {
    compared();
    expect([canvasOf("DeepLift").width, canvasOf("DeepLift").height]).toEqual([240, 160]);
    view.model.receive({ example: 1 });
    view.frame();
    expect([canvasOf("DeepLift").width, canvasOf("DeepLift").height]).toEqual([240, 120]); // the map's own size
  });
});

describe("picking", () => {
  it("shows a method's map", () => {
    compared({}, { layer: "stem", alpha: 0.5 });
    pick("DeepLift").click();
    view.frame();
    const { method: name, layer, alpha } = view.model.values;
    expect([name, layer, alpha]).toEqual(["DeepLift", null, 1]);
    expect(all(".as-tile[data-picked]").map((one) => one.dataset.name)).toEqual(["DeepLift"]);
    expect(pick("DeepLift").getAttribute("aria-current")).toBe("true");
    expect(pick("Saliency").hasAttribute("aria-current")).toBe(false);
  });

  it("shows a layer's map by a method for layers, at the layer that was compared", () => {
    compared({}, { layer: "stem", neuron: 3 });
    pick("LayerGradCam").click();
    view.frame();
    const { layer, layer_method: by, neuron } = view.model.values;
    expect([layer, by, neuron]).toEqual(["stem.conv", "LayerGradCam", null]);
    expect(all(".as-tile[data-picked]").map((one) => one.dataset.name)).toEqual(["LayerGradCam"]);
  });

  it("is not for controls", () => {
    compared();
    expect(tile("random").querySelector("button")).toBeNull();
    expect(tile("random").querySelector("[title]")!.getAttribute("title")).toContain(
      "knows nothing of the model",
    );
  });

  it("is off without a kernel, and the maps stay", () => {
    compared({}, { _live: false });
    expect(pick("DeepLift").disabled).toBe(true);
    expect(pick("DeepLift").title).toContain("saved without its kernel");
    expect(buttonOf("Compare").disabled).toBe(true);
    expect(canvasOf("DeepLift").width).toBe(240);
  });

  it("keeps the focus when lines are added before it", () => {
    compared({ methods: [COMPARISON.methods![0]!], final: false }, { status: "running" });
    const held = pick("Saliency");
    held.focus();
    view.model.receive({ comparison: COMPARISON });
    view.frame();
    expect(tiles()).toHaveLength(6);
    expect(document.activeElement).toBe(held);
    expect(pick("Saliency")).toBe(held);
  });

  it("has a name that says all of it", () => {
    compared();
    expect(pick("DeepLift").getAttribute("aria-label")).toBe("DeepLift, deletion 1.00, best");
  });
});
