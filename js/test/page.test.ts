/** The Explorer as a whole: its life, its toolbar, text from outside, keys. */
import { describe, expect, it } from "vitest";
import widget from "../src/index";
import { isOurs } from "../src/lib/keys";
import { FakeModel, sampleTraits } from "./support/fake";
import {
  all,
  buttonOf,
  canvas,
  choose,
  draw,
  drawPart,
  find,
  inputOf,
  labelled,
  menuOf,
  option,
  press,
  selectOf,
  slide,
  treeItem,
  useViews,
  view,
} from "./support/view";

useViews();

describe("the view", () => {
  it("is ready after rendering, with everything under its accessible name", () => {
    draw();
    expect(find(".as-root").dataset.ready).toBe("1");
    for (const name of ["Colour map", "Sign"]) expect(labelled(name).tagName).toBe("SELECT");
    for (const name of ["Explained output", "Compared with", "Baseline", "Method", "Seen at"]) {
      expect(menuOf(name).getAttribute("aria-haspopup")).toBe("listbox");
    }
    for (const name of ["Where", "Inside", "Trust"]) {
      expect(all("[role=tab]").map((tab) => tab.textContent)).toContain(name);
    }
    for (const name of ["Path position", "Opacity", "Outlier percentile"]) {
      expect(inputOf(name).type).toBe("range");
    }
    expect(labelled("Predictions").getAttribute("role")).toBe("listbox");
    expect(labelled("Search layers").getAttribute("type")).toBe("search");
    expect(find('[role=tree][aria-label="Layers"]')).toBeTruthy();
    expect(find("[role=status]").getAttribute("aria-live")).toBe("polite");
    expect(buttonOf("Cancel").disabled).toBe(true);
  });

  it("is complete without any result", () => {
    draw({
      picture: {},
      baseline_picture: {},
      heat: {},
      path: {},
      predictions: {},
      layers: [],
      target: null,
      status: "running",
    });
    expect(canvas().dataset.shown).toBe("empty");
    expect(canvas().getAttribute("aria-label")).toBe("No picture yet");
    expect(all("[role=option]")).toHaveLength(0);
  });

  it("leaves no listener, no element and no pending work behind", () => {
    draw({ alpha: 0.5 });
    labelled("Play the walk from baseline to input").click();
    expect(view.model.listening).toBeGreaterThan(10);
    view.end();
    expect(view.model.listening).toBe(0);
    expect(view.el.childElementCount).toBe(0);
    const { alpha } = view.model.values;
    view.frame();
    view.frame();
    expect(view.model.values.alpha).toBe(alpha);
  });

  it("ends with the host's signal too", () => {
    const model = new FakeModel(sampleTraits());
    const el = document.createElement("div");
    const host = new AbortController();
    widget.render({ model, el, signal: host.signal });
    expect(model.listening).toBeGreaterThan(0);
    host.abort();
    expect(model.listening).toBe(0);
    expect(el.childElementCount).toBe(0);
  });

  it("may be there twice, and one may end without the other", () => {
    draw();
    const first = view.el;
    const second = document.createElement("div");
    const endSecond = widget.render({ model: view.model, el: second });
    slide("Opacity", 0.3);
    view.frame();
    expect(view.model.saves).toHaveLength(1);
    expect(second.querySelector<HTMLInputElement>('[aria-label="Opacity"]')!.value).toBe("0.3");
    endSecond();
    expect(second.childElementCount).toBe(0);
    view.model.receive({ opacity: 0.9 });
    view.frame();
    expect(first.querySelector<HTMLInputElement>('[aria-label="Opacity"]')!.value).toBe("0.9");
  });

  it("draws each part alone with the traits it has", () => {
    drawPart("overlay", ["picture", "heat", "opacity", "luts"]);
    expect(canvas().dataset.shown).toBe("heat");
    expect(view.el.querySelector('[aria-label="Sign"]')).toBeNull(); // no trait, no control
    view.end();
    drawPart("predictions", ["predictions", "target"]);
    option("dog").click();
    expect(view.model.values.target).toBe(2);
    view.end();
    drawPart("path", ["path", "alpha"]);
    slide("Path position", 0.5);
    expect(view.model.values.alpha).toBe(0.5);
    view.end();
    drawPart("layers", ["layers", "layer"]);
    treeItem("stem.conv").click();
    expect(view.model.values.layer).toBe("stem.conv");
    expect("alpha" in view.model.values).toBe(false);
  });
});

describe("text from outside", () => {
  const NASTY = '<img src=x onerror="alert(1)"><b>&amp;';

  it("is shown as text everywhere", () => {
    const long = "قط".repeat(5000);
    draw({
      predictions: {
        kind: "probability",
        items: [
          { index: 7, label: NASTY, score: 1, probability: 0.5 },
          { index: 8, label: long, score: 1, probability: 0.5 },
        ],
      },
      heat: { ...sampleTraits().heat, title: NASTY },
      path: { ...sampleTraits().path, target_label: NASTY },
      layers: [{ name: NASTY, kind: NASTY, parameters: 1, shape: [1], depth: 0, spatial: false }],
      methods: [{ name: "IntegratedGradients", label: NASTY, doc: NASTY }],
      baselines: [{ name: "zero", label: NASTY }],
      status: "error",
      message: NASTY,
    });
    expect(view.el.querySelector("img, b")).toBeNull();
    expect(option(NASTY).querySelector(".as-name")!.textContent).toBe(NASTY);
    expect(find(".as-overlay .as-title").textContent).toBe(NASTY);
    expect(find(".as-message").textContent).toBe(NASTY);
    expect(menuOf("Method").textContent).toBe(NASTY);
    expect(find(".as-row[data-name] .as-kind").textContent).toBe(NASTY);
    const name = option(long).querySelector<HTMLElement>(".as-name")!;
    expect(name.dir).toBe("auto");
    expect(name.title).toContain(long);
  });
});

describe("the sentence", () => {
  it("shows the whole map of a method that is chosen", () => {
    draw({ alpha: 0.5 });
    choose("Method", "Saliency");
    view.frame();
    expect(view.model.saves).toEqual([{ method: "Saliency", alpha: 1 }]);
  });

  it("shows progress, and cancels only what runs", () => {
    draw();
    expect(find("[role=progressbar]").hidden).toBe(true);
    view.model.receive({ status: "running", progress: 0.48, message: "Integrated Gradients, 24 of 50" });
    view.frame();
    expect(find("[role=status]").textContent).toBe("Integrated Gradients, 24 of 50");
    expect(find("[role=progressbar]").getAttribute("aria-valuenow")).toBe("48");
    expect(buttonOf("Cancel").disabled).toBe(false);
    buttonOf("Cancel").click();
    expect(view.model.sent).toEqual([{ type: "cancel" }]);
    view.model.receive({ status: "cancelled" });
    view.frame();
    expect(buttonOf("Cancel").disabled).toBe(true);
    buttonOf("Recompute").click();
    expect(view.model.sent[1]).toEqual({ type: "recompute" });
  });

  it("says why the kernel refused a choice", () => {
    draw({ message: "baseline must be one of zero, blur" });
    expect(find("[role=status]").textContent).toBe("baseline must be one of zero, blur");
    view.model.receive({ message: "" });
    view.frame();
    expect(find("[role=status]").textContent).toBe("Ready");
  });

  it("shows an error whole, as it was written, and tries again", () => {
    draw();
    expect(find("[role=alert]").hidden).toBe(true);
    view.model.receive({ status: "error", message: "RuntimeError: no\n  second line" });
    view.frame();
    expect(find("[role=alert]").hidden).toBe(false);
    expect(find(".as-message").textContent).toBe("RuntimeError: no\n  second line");
    buttonOf("Try again").click();
    expect(view.model.sent).toEqual([{ type: "recompute" }]);
    view.model.receive({ status: "running", message: "" });
    view.frame();
    expect(find("[role=alert]").hidden).toBe(true);
  });

  it("shows where in the user's own code it was, folded away, and as text", () => {
    draw({ status: "error", message: "ValueError: mine", traceback: 'File "<b>", line 3' });
    const toggle = buttonOf("Traceback");
    expect(toggle.getAttribute("aria-expanded")).toBe("false");
    expect(find(".as-traceback").hidden).toBe(true);
    toggle.click();
    expect(find(".as-traceback").hidden).toBe(false);
    expect(find(".as-frames").textContent).toBe('File "<b>", line 3');
    expect(find(".as-frames").tabIndex).toBe(0);
    expect(find("[role=alert]").textContent).toBe("ValueError: mine");
    view.model.receive({ traceback: "" });
    view.frame();
    expect(toggle.closest<HTMLElement>(".as-where")!.hidden).toBe(true);
  });

  it("follows choices made in Python", () => {
    draw();
    view.model.receive({ method: "Saliency", baseline: "blur", colormap: "seq", sign: "absolute" });
    view.frame();
    expect(["Method", "Baseline"].map((label) => menuOf(label).dataset.value)).toEqual(["Saliency", "blur"]);
    expect(["Colour map", "Sign"].map((label) => selectOf(label).value)).toEqual(["seq", "absolute"]);
    expect(view.model.saves).toEqual([]);
  });
});

describe("keys", () => {
  it("pressed inside stay inside, but for Escape, Tab and the notebook's combinations", () => {
    draw();
    const heard: string[] = [];
    document.body.addEventListener("keydown", (event) => heard.push(event.key));
    for (const key of ["b", "ArrowLeft", "Home", "PageDown", "Enter", " "]) press(labelled("Opacity"), key);
    expect(heard).toEqual([]);
    for (const key of ["Escape", "Tab", "F1"]) press(labelled("Opacity"), key);
    press(labelled("Opacity"), "Enter", { shiftKey: true });
    press(labelled("Opacity"), "s", { ctrlKey: true });
    expect(heard).toEqual(["Escape", "Tab", "F1", "Enter", "s"]);
  });

  it("with Control belong to the search box while one types there", () => {
    draw();
    const ours = (target: Element, init: KeyboardEventInit): boolean => {
      let answer = false;
      target.addEventListener("keydown", (event) => (answer = isOurs(event as KeyboardEvent)), {
        once: true,
      });
      press(target, init.key!, init);
      return answer;
    };
    expect(ours(labelled("Search layers"), { key: "a", ctrlKey: true })).toBe(true);
    expect(ours(labelled("Search layers"), { key: "Enter", ctrlKey: true })).toBe(false);
    expect(ours(labelled("Opacity"), { key: "a", ctrlKey: true })).toBe(false);
    // So do those in the boxes for settings and for the code, where one selects and copies.
    expect(ours(find(".as-setting input[type=text]"), { key: "c", ctrlKey: true })).toBe(true);
    expect(ours(labelled("Python code"), { key: "c", metaKey: true })).toBe(true);
    for (const key of ["Escape", "Tab"]) expect(ours(labelled("Python code"), { key })).toBe(false);
  });
});
