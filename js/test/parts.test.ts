/** The four parts: what a person sees, does and hears. */
import { describe, expect, it, vi } from "vitest";
import { colourTable } from "../src/colour";
import { panesFor } from "../src/panes";
import { valueUnder } from "../src/stage";
import { lut } from "../src/wire";
import { HEAT, onWire, sampleTraits } from "./fake";
import {
  all,
  canvas,
  choose,
  draw,
  drawn,
  find,
  inputOf,
  labelled,
  opacities,
  option,
  press,
  slide,
  treeItem,
  useViews,
  view,
} from "./view";

useViews();

describe("the overlay", () => {
  const diverging = lut(sampleTraits().luts!.div!)!;

  it("draws the heat through the colour table", () => {
    draw({ opacity: 0.7 });
    const table = colourTable(diverging, "all", 0.7);
    expect(drawn()[0]).toBe(table[1]); // -1, the low end
    expect(drawn()[2]).toBe(table[512]); // 0
    expect(drawn()[5]).toBe(table[1023]); // 1, the high end
  });

  it("restyles once per frame, without waiting for a message", () => {
    draw();
    const before = Number(canvas().dataset.drawn);
    const first = drawn();
    slide("Opacity", 0.2);
    slide("Opacity", 0.9);
    choose("Sign", "positive");
    expect(Number(canvas().dataset.drawn)).toBe(before);
    view.frame();
    expect(Number(canvas().dataset.drawn)).toBe(before + 1);
    expect(drawn()).not.toEqual(first);
    expect(view.model.saves).toEqual([{ opacity: 0.9, sign: "positive" }]);
    expect(view.model.sent).toEqual([]);
  });

  it("draws no heat at opacity 0 and nothing for NaN at opacity 1", () => {
    draw({ opacity: 0 });
    expect([...drawn()].every((pixel) => pixel >>> 24 === 0)).toBe(true);
    const values = HEAT.slice();
    values[1] = NaN;
    view.model.receive({ opacity: 1, heat: { ...sampleTraits().heat, data: onWire(values) } });
    view.frame();
    expect([...drawn()].map((pixel) => pixel >>> 24)).toEqual([255, 0, 255, 255, 255, 255]);
    expect(find(".as-notes").textContent).toContain("1 NaN, not drawn");
  });

  it("says that a map is all zero and draws nothing", () => {
    draw({ heat: { ...sampleTraits().heat, data: onWire(new Float32Array(6)) }, opacity: 1 });
    expect(drawn().every((pixel) => pixel >>> 24 === 255)).toBe(true); // the picture
    expect(find(".as-notes").textContent).toContain("all zero");
    expect(canvas().getAttribute("aria-label")).toContain("All values are zero");
  });

  it("keeps a stale map, dimmed and marked, under its own title", () => {
    draw();
    choose("Method", "Saliency");
    view.frame();
    const card = find(".as-overlay");
    expect(card.dataset.stale).toBe("1");
    expect(card.querySelector(".as-tag")!.textContent).toBe("updating");
    expect(card.querySelector(".as-title")!.textContent).toBe("Integrated Gradients for cat");
    expect(canvas().dataset.shown).toBe("heat");
    view.model.receive({
      heat: {
        ...sampleTraits().heat,
        title: "Saliency for cat",
        request: { method: "Saliency", target: 7, baseline: "zero", layer: null },
      },
    });
    view.frame();
    expect(card.dataset.stale).toBeUndefined();
    expect(card.querySelector(".as-title")!.textContent).toBe("Saliency for cat");
  });

  it("walks: other picture, title with alpha, and a label for people who do not see it", () => {
    draw();
    expect(opacities()).toEqual([1, 1]); // picture, map
    slide("Path position", 0.5);
    view.frame();
    expect(opacities().slice(2)).toEqual([1, 0.5, 1]); // baseline, picture over it, map
    expect(canvas().dataset.shown).toBe("walk");
    expect(find(".as-overlay .as-title").textContent).toBe(
      "Integrated Gradients for cat, accumulated to α = 0.50",
    );
    expect(canvas().getAttribute("aria-label")).toContain("on its way from the baseline");
    expect(drawn()[5]).toBe(colourTable(diverging, "all", 0.6)[1023]);
  });

  it("reads values with the arrow keys", () => {
    draw();
    press(canvas(), "ArrowLeft"); // shows the cross in the middle
    press(canvas(), "End");
    press(canvas(), "PageDown");
    view.frame();
    expect(find(".as-readout").textContent).toBe("x 2, y 1: +1.00");
    expect(find(".as-overlay > .as-unseen[aria-live]").textContent).toBe("x 2, y 1: +1.00");
    press(canvas(), "ArrowLeft");
    view.frame();
    expect(find(".as-readout").textContent).toBe("x 1, y 1: +0.500");
    canvas().dispatchEvent(new Event("blur"));
    view.frame();
    expect(find(".as-readout").textContent).toBe("");
  });

  it("reads a coarser map below a pixel of the picture", () => {
    const field = {
      w: 2,
      h: 1,
      source: HEAT,
      place: 1,
      reference: HEAT,
      valueAt: (i: number) => i,
      paint: () => undefined,
    };
    expect([0, 1, 2, 3].map((x) => valueUnder(field, { x, y: 3 }, 4, 4))).toEqual([0, 0, 1, 1]);
  });

  it("has a canvas that is a whole multiple of small pictures and bounded for large ones", () => {
    const size = (w: number, h: number, ratio: number): [number, number] => {
      const { width, height } = panesFor(w, h, ratio, 1);
      return [width, height];
    };
    expect(size(224, 224, 1)).toEqual([448, 448]);
    expect(size(224, 112, 2)).toEqual([896, 448]);
    expect(size(1024, 512, 1)).toEqual([720, 360]);
    expect(size(3000, 3000, 3)).toEqual([1440, 1440]);
    expect(size(32, 32, 1)).toEqual([448, 448]);
  });
});

describe("predictions", () => {
  it("show label and share, and mark the explained one", () => {
    draw();
    expect(all("[role=option]").map((row) => row.textContent)).toEqual(["cat70.0%", "dog20.0%", "hat<0.1%"]);
    expect(all("[role=option]").map((row) => row.getAttribute("aria-selected"))).toEqual([
      "true",
      "false",
      "false",
    ]);
  });

  it("pick a target by click and by key, and change nothing else", () => {
    draw({ alpha: 0.5, layer: "stem" });
    option("dog").click();
    view.frame();
    expect(view.model.saves).toEqual([{ target: 2 }]);
    press(option("dog"), "ArrowDown");
    press(option("hat"), "Enter");
    view.frame();
    expect(view.model.saves[1]).toEqual({ target: 9 });
    press(option("hat"), "Home");
    expect(document.activeElement).toBe(option("cat"));
    expect(all("[role=option]").map((row) => row.tabIndex)).toEqual([0, -1, -1]);
  });

  it("follow the walk for the classes the path knows", () => {
    draw({ alpha: 0.75 });
    expect(option("cat").textContent).toContain("60.0%");
    expect(option("dog").textContent).toContain("25.0%");
    expect(option("hat").dataset.unknown).toBe("1");
    view.model.receive({ baseline: "blur" }); // the path now belongs to another baseline
    view.frame();
    expect(option("cat").textContent).toContain("70.0%");
  });

  it("show scores when there are no probabilities", () => {
    draw({
      alpha: 0.5,
      target: [1],
      predictions: {
        kind: "score",
        items: [
          { index: 0, label: "a", score: -1.5, probability: null },
          { index: 1, label: "b", score: 12, probability: null },
        ],
      },
    });
    expect(all("[role=option]").map((row) => row.textContent)).toEqual(["a−1.5", "b12.0"]);
    expect(option("b").getAttribute("aria-selected")).toBe("true");
  });
});

describe("the path", () => {
  it("tells position and output in words", () => {
    draw({ alpha: 0.25 });
    const input = labelled("Path position");
    expect(input.getAttribute("aria-valuetext")).toBe("α = 0.25, output 1.00");
    view.model.receive({ alpha: 0 });
    view.frame();
    expect(input.getAttribute("aria-valuetext")).toBe("α = 0.00, the baseline, output 0");
  });

  it("plays from the baseline to the input and stops there", () => {
    draw();
    const start = 1000;
    vi.spyOn(performance, "now").mockReturnValue(start);
    labelled("Play the walk from baseline to input").click();
    expect(view.model.values.alpha).toBe(0);
    view.frame(start + 1250);
    expect(view.model.values.alpha).toBeCloseTo(0.5, 1);
    expect(labelled("Pause the walk")).toBeTruthy();
    view.frame(start + 9999);
    expect(view.model.values.alpha).toBe(1);
    expect(labelled("Play the walk from baseline to input")).toBeTruthy();
    view.frame();
    view.frame();
    expect(view.model.values.alpha).toBe(1);
  });

  it("stops playing when the slider is taken in the hand", () => {
    draw();
    labelled("Play the walk from baseline to input").click();
    slide("Path position", 0.3);
    view.frame(performance.now() + 1000);
    view.frame(performance.now() + 2000);
    expect(view.model.values.alpha).toBe(0.3);
  });
});

describe("layers", () => {
  it("show kind, shape and parameters, and why some cannot be picked", () => {
    draw();
    const conv = treeItem("stem.conv");
    expect(conv.textContent).toBe("stem.conv,Conv2d8 × 4 × 490");
    expect(conv.getAttribute("aria-level")).toBe("3");
    expect(treeItem("fc").getAttribute("aria-disabled")).toBe("true");
    expect(treeItem("fc").title).toContain("no Grad-CAM");
    expect(treeItem("spare").textContent).toContain("did not run");
    expect(find(".as-row").textContent).toBe("Input");
    expect(find(".as-row").getAttribute("aria-selected")).toBe("true");
  });

  it("pick a layer at the end of the path, and Input goes back", () => {
    draw({ alpha: 0.5 });
    treeItem("stem.conv").click();
    view.frame();
    expect(view.model.saves).toEqual([{ layer: "stem.conv", alpha: 1 }]);
    expect(treeItem("stem.conv").getAttribute("aria-selected")).toBe("true");
    all(".as-row")[0]!.click();
    view.frame();
    expect(view.model.saves[1]).toEqual({ layer: null });
  });

  it("do not pick what has no Grad-CAM, but open it", () => {
    draw();
    treeItem("fc").click();
    press(treeItem("spare"), "Enter");
    expect(view.model.values.layer).toBeNull();
    expect(view.el.querySelector('[data-name="stem"]')).toBeTruthy();
    treeItem("").click();
    expect(view.model.values.layer).toBeNull();
    expect(view.el.querySelector('[data-name="stem"]')).toBeNull(); // closed
  });

  it("have one item in the order of Tab, moved by the arrows", () => {
    draw();
    const first = all(".as-row")[0]!;
    first.focus();
    press(first, "ArrowDown");
    press(treeItem(""), "ArrowDown");
    expect(document.activeElement).toBe(treeItem("stem"));
    expect(all("[role=treeitem]").filter((row) => row.tabIndex === 0)).toEqual([treeItem("stem")]);
    press(treeItem("stem"), "ArrowLeft");
    expect(view.el.querySelector('[data-name="stem.conv"]')).toBeNull();
    press(treeItem("stem"), " ");
    expect(view.model.values.layer).toBe("stem");
  });

  it("are searched with their ancestors kept", () => {
    draw();
    const search = inputOf("Search layers");
    search.value = "conv2d";
    search.dispatchEvent(new Event("input"));
    expect(all("[role=treeitem]").map((row) => row.dataset.name)).toEqual(["", "stem", "stem.conv"]);
    press(search, "ArrowDown");
    expect(document.activeElement).toBe(treeItem("stem.conv"));
    search.value = "nothing like it";
    search.dispatchEvent(new Event("input"));
    expect(all("[role=treeitem]")).toHaveLength(0);
    expect(find(".as-nothing").textContent).toContain("nothing like it");
  });

  it("reveal a layer that was picked in Python", () => {
    draw();
    treeItem("").click(); // closes the model
    expect(view.el.querySelector('[data-name="stem.conv"]')).toBeNull();
    view.model.receive({ layer: "stem.conv" });
    view.frame();
    expect(treeItem("stem.conv").getAttribute("aria-selected")).toBe("true");
  });
});
