import { describe, expect, it, vi } from "vitest";
import { whyNotRefine } from "../../src/controls/map-actions";
import { State } from "../../src/state/state";
import type { Traits } from "../../src/state/traits.generated";
import { FakeModel, sampleTraits } from "../support/fake";
import { buttonOf, draw, find, labelled, useViews, view } from "../support/view";

useViews();

describe("refining", () => {
  const why = (changes: Partial<Traits>): string | undefined =>
    whyNotRefine(new State(new FakeModel(sampleTraits(changes)), new AbortController().signal).view);
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
    view.model.receive({ status: "idle" });
    view.frame();
    refine.focus();
    view.model.receive({ status: "running" });
    view.frame();
    expect(document.activeElement).toBe(refine); // whoever pressed it by a key may press it again afterwards
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
