/** The sentence on top: what its menus say, offer and ask for. */
import { describe, expect, it } from "vitest";
import { LAYERS, layerTraits } from "../support/layer-traits";
import { SIX, withLayer } from "../support/inside-traits";
import {
  all,
  buttonOf,
  choose,
  draw,
  find,
  menuLines,
  menuOf,
  press,
  type as write,
  useViews,
  view,
} from "../support/view";

useViews();

const values = (label: string): (string | undefined)[] =>
  menuLines(label).map(({ dataset }) => dataset.value);
const words = (label: string): (string | null)[] =>
  menuLines(label).map((line) => line.querySelector(".as-menu-label")!.textContent);
const searchIn = (label: string): HTMLInputElement =>
  menuOf(label).parentElement!.querySelector<HTMLInputElement>("input[type=search]")!;
const isOut = (label: string): boolean => menuOf(label).parentElement!.dataset.none === "1";
const CLASSES = { count: 1000, names: ["tench", "goldfish", "great white shark", "", "  "] };

/** A layer is picked, and perhaps a neuron of it. */
const inside = (neuron: number | null): void =>
  draw(layerTraits({ ...withLayer(SIX), ...layerTraits(), layer: "stem", neuron, channels: SIX }));

describe("the sentence", () => {
  it("says what is explained, and how", () => {
    draw(layerTraits());
    expect(all(".as-phrase").map(({ textContent }) => textContent)).toEqual([
      expect.stringMatching(/^Whycat/),
      expect.stringMatching(/^rather thannothing/),
      expect.stringMatching(/^compared withZero/),
      expect.stringMatching(/^byIntegrated Gradients/),
      expect.stringMatching(/^seen atthe pixels/),
    ]);
    view.model.receive({ target: 2, contrast: 9, baseline: ["zero", "blur"], layer: "stem.conv" });
    view.frame();
    const said = ["Explained output", "Compared with", "Baseline", "Method", "Seen at"].map(
      (label) => menuOf(label).textContent,
    );
    expect(said).toEqual(["dog", "hat", "the average of 2", "Grad-CAM", "stem.conv"]);
  });

  it("says where the baseline does not count, and quietly offers it still", () => {
    const methods = [
      { name: "LRP", label: "LRP", compares: false },
      { name: "DeepLift", label: "DeepLIFT", compares: true },
    ];
    draw({ ...layerTraits(), methods, method: "LRP" });
    const phrase = all(".as-phrase")[2]!;
    expect(phrase.dataset.quiet).toBe("1");
    expect(phrase.title).toBe("LRP has no baseline. The path and what covering costs go by this one");
    expect(menuOf("Baseline").disabled).toBe(false);
    view.model.receive({ method: "DeepLift" });
    view.frame();
    expect(phrase.dataset.quiet).toBeUndefined();
    expect(phrase.title).toBe("");
  });

  it("says of a neuron which one it is", () => {
    inside(3);
    expect(menuOf("Seen at").textContent).toBe("stem, channel 3");
  });

  it("closes one menu when another is opened", () => {
    draw(layerTraits());
    menuOf("Method").click();
    menuOf("Seen at").dispatchEvent(new Event("pointerdown", { bubbles: true, composed: true }));
    menuOf("Seen at").click();
    expect(menuOf("Method").getAttribute("aria-expanded")).toBe("false");
    expect(menuOf("Seen at").getAttribute("aria-expanded")).toBe("true");
  });
});

describe("the explained output", () => {
  it("is one of all classes, the likeliest first", () => {
    draw({ classes: CLASSES });
    menuOf("Explained output").click();
    expect(words("Explained output").slice(0, 8)).toEqual([
      "cat",
      "dog",
      "hat",
      "tench",
      "goldfish",
      "class 3",
      "class 4",
      "class 5",
    ]);
    expect(values("Explained output").slice(0, 8)).toEqual(["7", "2", "9", "0", "1", "3", "4", "5"]);
    expect(menuLines("Explained output")[1]!.querySelector(".as-menu-note")!.textContent).toBe("20.0%");
    expect(menuLines("Explained output")).toHaveLength(200);
    expect(find(".as-menu-rest:not([hidden])").textContent).toBe("800 more: type to find them");
  });

  it("is found by a part of its name or by its number, and taken with Enter", () => {
    draw({ classes: CLASSES });
    menuOf("Explained output").click();
    const search = searchIn("Explained output");
    expect(search.getAttribute("aria-label")).toBe("Search classes");
    search.value = "FISH";
    search.dispatchEvent(new Event("input"));
    expect(values("Explained output")).toEqual(["1"]);
    search.value = "999";
    search.dispatchEvent(new Event("input"));
    expect(words("Explained output")).toEqual(["class 999"]);
    press(search, "Enter");
    view.frame();
    expect(view.model.saves).toEqual([{ target: 999 }]);
    expect(menuOf("Explained output").textContent).toBe("class 999");
    expect(document.activeElement).toBe(menuOf("Explained output"));
  });

  it("takes the place of the class it was compared with", () => {
    draw({ contrast: 2 });
    choose("Explained output", "2");
    view.frame();
    expect(view.model.saves).toEqual([{ contrast: null, target: 2 }]);
  });

  it("is said in words where it is no single class", () => {
    draw({ target: [1, 2] });
    expect(menuOf("Explained output").textContent).toBe("output 1, 2");
    expect(isOut("Compared with")).toBe(true);
    view.end();
    draw({ target: "sum" });
    expect(menuOf("Explained output").textContent).toBe("sum");
  });

  it("call the only output by its name, where it has one", () => {
    const items = [{ index: 0, label: "high", score: -0.5, probability: 0.37 }];
    const predictions = { kind: "probability", output: "logits", items } as const;
    draw({ target: null, classes: { count: 1, names: ["high"] }, predictions });
    expect(menuOf("Explained output").textContent).toBe("high");
    choose("Explained output", "0"); // which may be no index of the output
    expect(view.model.saves).toEqual([]);
    view.end();
    draw({ target: null, classes: { count: 1, names: [] } });
    expect(menuOf("Explained output").textContent).toBe("the output");
  });

  it("says at its menu why one was refused", () => {
    draw();
    choose("Explained output", "2");
    view.frame();
    view.model.receive({
      target: 7,
      refused: { trait: "target", method: null, name: null, value: "2", reason: "no class 2", count: 1 },
    });
    view.frame();
    const target = menuOf("Explained output");
    expect(target.getAttribute("aria-invalid")).toBe("true");
    expect(document.getElementById(target.getAttribute("aria-describedby")!)!.textContent).toBe("no class 2");
    expect(menuOf("Compared with").getAttribute("aria-invalid")).toBeNull();
  });
});

describe("what it is compared with", () => {
  it("is nothing, or any class but the explained one", () => {
    draw({ classes: {} }); // so that only the best are known
    menuOf("Compared with").click();
    expect(words("Compared with")).toEqual(["nothing", "dog", "hat"]);
    expect(menuLines("Compared with")[0]!.getAttribute("aria-selected")).toBe("true");
    menuOf("Compared with").click();
    choose("Compared with", "9");
    view.frame();
    expect(menuOf("Compared with").textContent).toBe("hat");
    choose("Compared with", "");
    view.frame();
    expect(view.model.saves).toEqual([{ contrast: 9 }, { contrast: null }]);
    expect(menuOf("Compared with").textContent).toBe("nothing");
  });

  it("is not asked for where there is one class only", () => {
    const price = { index: 0, label: "price", score: 3, probability: null };
    draw({
      target: 0,
      classes: { count: 1, names: ["price"] },
      predictions: { kind: "score", items: [price] },
    });
    expect(isOut("Compared with")).toBe(true);
    view.end();
    draw();
    expect(isOut("Compared with")).toBe(false);
  });
});

describe("the method", () => {
  it("of the pixels is one of theirs, or one of a layer's, which goes to the last layer with a map", () => {
    draw(layerTraits({ alpha: 0.5 }));
    menuOf("Method").click();
    expect(words("Method")).toEqual(["Integrated Gradients", "Saliency", "Grad-CAM", "Integrated Gradients"]);
    expect(
      all('.as-popup:not([hidden]) [role=group] [role="presentation"]').map((head) => head.textContent),
    ).toEqual(["Of the pixels", "Of a layer: at the last one with a map"]);
    expect(find(".as-popup:not([hidden]) .as-menu-about").textContent).toBe("Integrates.");
    menuLines("Method")[2]!.click();
    view.frame();
    expect(view.model.values.layer_method).toBe("LayerGradCam");
    expect(view.model.values.layer).toBe("stem.act");
    expect(view.model.values.method).toBe("IntegratedGradients");
    expect(view.model.values.alpha).toBe(1); // the map itself, and not half way to it
    expect(menuOf("Method").textContent).toBe("Grad-CAM");
    expect(menuOf("Seen at").textContent).toBe("stem.act");
  });

  it("is told of in a sentence, without whose it is", () => {
    const doc = "The gradient (Simonyan et al. 2013, arXiv 1312.6034). Shown with its sign.";
    draw({ methods: [{ name: "Saliency", label: "Saliency", doc, parameters: [] }], method: "Saliency" });
    menuOf("Method").click();
    expect(find(".as-popup:not([hidden]) .as-menu-about").textContent).toBe("The gradient.");
    expect(find(".as-popup:not([hidden]) .as-menu-label").title).toBe(`Saliency\n${doc}`);
  });

  it("offers no layer's method where no layer has a map", () => {
    draw(
      layerTraits({ layers: LAYERS.map((row) => ({ ...row, spatial: false, layout: "vector" as const })) }),
    );
    menuOf("Method").click();
    expect(values("Method")).toEqual(["IntegratedGradients", "Saliency"]);
    view.end();
    draw();
    menuOf("Method").click();
    expect(values("Method")).toEqual(["IntegratedGradients", "Saliency"]);
  });

  it("of a layer or of a neuron is one of its own, and stays there", () => {
    inside(null);
    menuOf("Method").click();
    expect(values("Method")).toEqual(["LayerGradCam", "LayerIntegratedGradients"]);
    menuOf("Method").click();
    choose("Method", "LayerIntegratedGradients");
    view.frame();
    expect(view.model.values.layer_method).toBe("LayerIntegratedGradients");
    expect(view.model.values.layer).toBe("stem");
    expect(view.model.values.method).toBe("IntegratedGradients");
    view.end();
    inside(3);
    expect(menuOf("Method").textContent).toBe("Gradient");
    menuOf("Method").click();
    expect(values("Method")).toEqual(["NeuronGradient"]);
  });

  it("has its settings beside it, which the method brings along", () => {
    draw(layerTraits());
    const settings = buttonOf("Settings");
    expect(settings.hidden).toBe(false);
    settings.click();
    expect(find(".as-settings").hidden).toBe(false);
    choose("Method", "Saliency"); // which has none
    view.frame();
    expect(settings.hidden).toBe(true);
    expect(find(".as-settings").hidden).toBe(true);
  });
});

describe("where it is seen", () => {
  it("is the pixels, or any layer that can be picked, found by its name", () => {
    draw(layerTraits());
    menuOf("Seen at").click();
    expect(words("Seen at")).toEqual(["the pixels", "the model", "stem", "stem.conv", "stem.act", "fc"]);
    write("Search the model", "conv");
    expect(words("Seen at")).toEqual(["stem.conv"]);
    press(searchIn("Seen at"), "Enter");
    view.frame();
    expect(view.model.values.layer).toBe("stem.conv");
    expect(menuOf("Seen at").dataset.value).toBe("stem.conv");
    choose("Seen at", "\n");
    view.frame();
    expect(view.model.values.layer).toBeNull();
    expect(menuOf("Seen at").textContent).toBe("the pixels");
  });

  it("tells a model of the empty name from the pixels", () => {
    draw(layerTraits());
    choose("Seen at", "");
    view.frame();
    expect(view.model.values.layer).toBe("");
    expect(menuOf("Seen at").textContent).toBe("the model");
  });
});

describe("while something is computed", () => {
  it("Cancel stands where Recompute stood, and takes over the focus", () => {
    draw();
    const [again, cancel] = [buttonOf("Recompute"), buttonOf("Cancel")];
    expect([again.hidden, cancel.hidden]).toEqual([false, true]);
    again.focus();
    again.click();
    view.model.receive({ status: "running", progress: 0.25 });
    view.frame();
    expect([again.hidden, cancel.hidden]).toEqual([true, false]);
    expect(document.activeElement).toBe(cancel);
    expect(find("[role=progressbar]").getAttribute("aria-valuenow")).toBe("25");
    cancel.click();
    view.model.receive({ status: "cancelled" });
    view.frame();
    expect([again.hidden, cancel.hidden]).toEqual([false, true]);
    expect(document.activeElement).toBe(again);
    expect(view.model.sent).toEqual([{ type: "recompute" }, { type: "cancel" }]);
  });
});
