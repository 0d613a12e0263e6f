/** The path: what a person sees, does and hears. */
import { describe, expect, it, vi } from "vitest";
import { sampleTraits } from "../support/fake";
import { draw, find, labelled, slide, useViews, view } from "../support/view";

useViews();

describe("the path", () => {
  it("says that it is not computed, where nothing is on the way", () => {
    draw({ path: {}, status: "error", message: "ValueError: mine" });
    expect(find(".as-path .as-tag").textContent).toBe("not computed");
    expect(find(".as-path .as-tag").hidden).toBe(false);
    expect(find(".as-path").dataset.empty).toBeUndefined();
    view.model.receive({ status: "running" });
    view.frame();
    expect(find(".as-path .as-tag").hidden).toBe(true);
    expect(find(".as-path").dataset.empty).toBe("1");
    view.model.receive(sampleTraits());
    view.frame();
    expect(find(".as-path .as-tag").hidden).toBe(true);
  });

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
