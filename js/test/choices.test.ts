/** Baselines, contrast, examples, refine, copying, warnings: what a person can ask for, and what is said. */
import { describe, expect, it, vi } from "vitest";
import { choiceOf, namesOf } from "../src/baselines";
import { itemAfter } from "../src/examples";
import { whyNotRefine } from "../src/extras";
import { State } from "../src/state";
import type { RawPicture, Traits } from "../src/traits";
import { FakeModel, onWire, sampleTraits } from "./fake";
import { buttonOf, choose, draw, find, labelled, option, press, selectOf, useViews, view } from "./view";

useViews();

describe("baselines", () => {
  const box = (value: string): HTMLInputElement =>
    find(`.as-several input[value="${value}"]`) as HTMLInputElement;
  const tick = (value: string, checked: boolean): void => {
    box(value).checked = checked;
    box(value).dispatchEvent(new Event("change"));
    view.frame();
  };

  it("are one name alone, or a list", () => {
    expect(choiceOf(["zero"])).toBe("zero");
    expect(choiceOf(["zero", "blur"])).toEqual(["zero", "blur"]);
    expect(choiceOf([])).toBeUndefined();
    expect(namesOf("zero")).toEqual(["zero"]);
    expect(namesOf(undefined)).toEqual([]);
  });

  it("become several by ticking, and one again by unticking or by the select box", () => {
    draw();
    buttonOf("Average over several").click();
    expect(box("zero").checked).toBe(true);
    tick("blur", true);
    expect(view.model.saves).toEqual([{ baseline: ["zero", "blur"] }]);
    const select = selectOf("Baseline");
    expect(select.options[select.selectedIndex]!.textContent).toBe("Average of 2");
    expect(find(".as-end-start .as-end-name").textContent).toBe("Baseline: Average of 2");
    tick("zero", false);
    expect(view.model.saves[1]).toEqual({ baseline: "blur" });
    tick("blur", false); // the last one stays
    expect(view.model.saves).toHaveLength(2);
    expect(box("blur").checked).toBe(true);
    tick("zero", true);
    choose("Baseline", "zero");
    view.frame();
    expect(view.model.saves[3]).toEqual({ baseline: "zero" });
    expect(selectOf("Baseline").options).toHaveLength(2);
  });

  it("say at the select box why one was refused, until another is taken", () => {
    draw();
    choose("Baseline", "blur");
    view.frame();
    view.model.receive({
      baseline: "zero",
      refused: { trait: "baseline", method: null, name: null, value: "blur", reason: "no blur", count: 1 },
    });
    view.frame();
    const select = selectOf("Baseline");
    expect(select.getAttribute("aria-invalid")).toBe("true");
    expect(document.getElementById(select.getAttribute("aria-describedby")!)!.textContent).toBe("no blur");
    expect(selectOf("Method").getAttribute("aria-invalid")).toBeNull();
    view.model.receive({ refused: {} });
    view.frame();
    expect(select.getAttribute("aria-invalid")).toBeNull();
  });
});

describe("a contrast", () => {
  const versus = (label: string): HTMLElement => option(label).querySelector<HTMLElement>(".as-versus")!;
  const line = (): HTMLElement => find(".as-contrast");

  it("is chosen with the key c and taken back with it", () => {
    draw();
    expect(line().hidden).toBe(true);
    const keys = ["cat", "dog"].map((label) => option(label).getAttribute("aria-keyshortcuts"));
    expect(keys).toEqual([null, "c"]);
    press(option("dog"), "c"); // the one that has the focus, however it came there
    view.frame();
    expect(view.model.saves).toEqual([{ contrast: 2 }]);
    expect(line().textContent).toContain("cat rather than dog");
    expect(option("dog").dataset.contrast).toBe("1");
    expect(option("dog").textContent).toBe("dog20.0%, compared with");
    press(option("dog"), "c");
    view.frame();
    expect(view.model.saves[1]).toEqual({ contrast: null });
    expect(line().hidden).toBe(true);
  });

  it("is chosen beside a class without explaining that class", () => {
    draw();
    versus("hat").click();
    view.frame();
    expect(view.model.saves).toEqual([{ contrast: 9 }]);
    buttonOf("Remove contrast").click();
    view.frame();
    expect(view.model.values.contrast).toBeNull();
    expect(view.model.values.target).toBe(7);
  });

  it("is never the explained class itself", () => {
    draw();
    expect(versus("cat").hidden).toBe(true);
    press(option("cat"), "c");
    view.frame();
    expect(view.model.saves).toEqual([]);
    view.model.receive({ contrast: 2 });
    option("dog").click(); // to explain the class that was compared with
    view.frame();
    expect(view.model.saves).toEqual([{ contrast: null, target: 2 }]);
  });

  it("needs a class to compare with, and a model that knows the word", () => {
    draw({ target: [1, 2] });
    press(option("dog"), "c");
    expect(versus("dog").hidden).toBe(true);
    view.end();
    draw({ contrast: undefined as unknown as null });
    press(option("dog"), "c");
    view.frame();
    expect(view.model.saves).toEqual([]);
    expect(find(".as-list").dataset.compares).toBeUndefined();
  });

  it("tells of a class outside the list by its number", () => {
    draw({ contrast: 123 });
    expect(line().textContent).toContain("cat rather than output 123");
  });
});

describe("examples", () => {
  const picture: RawPicture = { shape: [1, 1], data: onWire(new Uint8Array(3)) };
  const several = (count: number): Partial<Traits> => ({
    examples: Array.from({ length: count }, (_, i) => ({
      label: i === 1 ? "<b>two</b>" : `example ${i}`,
      picture,
    })),
  });
  const items = (): HTMLElement[] => [...labelled("Examples").querySelectorAll<HTMLElement>("[role=option]")];

  it("are not shown when there is only one", () => {
    draw(several(1));
    expect(find(".as-batch").hidden).toBe(true);
    view.end();
    draw({ examples: undefined as unknown as [] });
    expect(find(".as-batch").hidden).toBe(true);
  });

  it("are picked by click and by arrow keys", () => {
    draw(several(4));
    expect(items()).toHaveLength(4);
    expect(items()[1]!.textContent).toBe("<b>two</b>");
    items()[2]!.click();
    view.frame();
    expect(view.model.saves).toEqual([{ example: 2 }]);
    expect(items().map((item) => item.getAttribute("aria-selected"))).toEqual([
      "false",
      "false",
      "true",
      "false",
    ]);
    press(items()[2]!, "ArrowRight");
    view.frame();
    expect(view.model.saves[1]).toEqual({ example: 3 });
    expect(document.activeElement).toBe(items()[3]);
    press(items()[3]!, "ArrowRight"); // there is no further one
    press(items()[3]!, "Home");
    view.frame();
    expect(view.model.saves.slice(2)).toEqual([{ example: 0 }]);
    expect(items().map((item) => item.tabIndex)).toEqual([0, -1, -1, -1]);
  });

  it("stay as they are without a kernel", () => {
    draw({ ...several(3), _live: false });
    items()[2]!.click();
    view.frame();
    expect(view.model.values.example).toBe(0);
    expect(items().map((item) => item.getAttribute("aria-disabled"))).toEqual([null, "true", "true"]);
  });

  it("know where keys lead", () => {
    expect(itemAfter("ArrowLeft", 0, 5)).toBe(0);
    expect(itemAfter("PageDown", 1, 5)).toBe(4);
    expect(itemAfter("End", 1, 5)).toBe(4);
    expect(itemAfter("Tab", 1, 5)).toBeUndefined();
    expect(itemAfter("Escape", 1, 5)).toBeUndefined();
  });
});

describe("refining", () => {
  const why = (changes: Partial<Traits>): string | undefined =>
    whyNotRefine(new State(new FakeModel(sampleTraits(changes)), new AbortController().signal));
  const heat = { ...sampleTraits().heat, refinable: true };

  it("is possible for an estimate that answers the present choice", () => {
    expect(why({ heat })).toBeUndefined();
    expect(why({})).toContain("exact");
    expect(why({ heat: {} })).toContain("no map");
    expect(why({ heat, status: "running" })).toContain("Wait");
    expect(why({ heat, target: 2 })).toContain("not the one");
    expect(why({ heat, _live: false })).toContain("without its kernel");
  });

  it("asks for more once, and waits for the answer", () => {
    draw({ heat });
    const refine = buttonOf("Refine");
    expect(refine.disabled).toBe(false);
    refine.click();
    expect(view.model.sent).toEqual([{ type: "refine" }]);
    view.model.receive({ status: "running", effort: 1 });
    view.frame();
    expect(refine.disabled).toBe(true);
    expect(find(".as-overlay").dataset.stale).toBeUndefined(); // what is shown is right, only rougher
  });
});

describe("copying the code", () => {
  const code = "attributions = method.attribute(inputs)\n";
  const clipboard = (writeText: ((text: string) => Promise<void>) | undefined): void => {
    vi.stubGlobal("navigator", { clipboard: writeText && { writeText } });
  };
  const settle = (): Promise<void> => new Promise((done) => setTimeout(done));
  const box = (): HTMLTextAreaElement => labelled("Python code") as HTMLTextAreaElement;

  it("uses the clipboard and says so", async () => {
    const write = vi.fn(() => Promise.resolve());
    clipboard(write);
    draw();
    buttonOf("Copy code").click();
    await settle();
    expect(write).toHaveBeenCalledWith(code);
    expect(find(".as-done").textContent).toBe("Copied");
    expect(find(".as-copy").hidden).toBe(true);
    view.model.receive({ code: "other" });
    view.frame();
    expect(find(".as-done").textContent).toBe("");
  });

  it.each([
    ["refused", () => Promise.reject(new Error("NotAllowedError"))],
    ["not there", undefined],
  ])("offers the selected text where the clipboard is %s", async (_, write) => {
    clipboard(write);
    draw();
    buttonOf("Copy code").click();
    await settle();
    expect(find(".as-copy").hidden).toBe(false);
    expect(box().value).toBe(code);
    expect(box().readOnly).toBe(true);
    expect(document.activeElement).toBe(box());
    expect([box().selectionStart, box().selectionEnd]).toEqual([0, code.length]);
    expect(find(".as-done").textContent).toBe("");
  });

  it("is not offered while there is no code", () => {
    draw({ code: "" });
    expect(buttonOf("Copy code").disabled).toBe(true);
  });
});

describe("warnings", () => {
  it("say that the weights changed, during or since", () => {
    draw();
    const warning = find(".as-warning");
    expect(warning.hidden).toBe(true);
    view.model.receive({ heat: { ...sampleTraits().heat, changed: true } });
    view.frame();
    expect(warning.textContent).toContain("while this map was computed");
    view.model.receive({ weights_changed: true });
    view.frame();
    expect(warning.textContent).toContain("since this map was computed");
    view.model.receive({ weights_changed: false, heat: sampleTraits().heat! });
    view.frame();
    expect(warning.hidden).toBe(true);
  });

  it("mark a preview as such, under its own title", () => {
    draw({
      status: "running",
      heat: { ...sampleTraits().heat, preview: true, final: false, title: "Preview" },
    });
    expect(find(".as-overlay .as-tag").textContent).toBe("preview");
    expect(find(".as-overlay .as-title").textContent).toBe("Preview");
  });
});
