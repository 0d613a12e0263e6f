import { describe, expect, it } from "vitest";
import { choiceOf, namesOf } from "../../src/selection/baselines";
import { buttonOf, choose, draw, find, menuLines, menuOf, useViews, view } from "../support/view";

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
  });

  it("become several by ticking, and one again by unticking or by the menu", () => {
    draw();
    buttonOf("Average over several").click();
    expect(box("zero").checked).toBe(true);
    tick("blur", true);
    expect(view.model.saves).toEqual([{ baseline: ["zero", "blur"] }]);
    view.frame();
    expect(menuOf("Baseline").textContent).toBe("the average of 2");
    expect(find(".as-end-start .as-end-name").textContent).toBe("the average of 2");
    tick("zero", false);
    expect(view.model.saves[1]).toEqual({ baseline: "blur" });
    tick("blur", false); // the last one stays
    expect(view.model.saves).toHaveLength(2);
    expect(box("blur").checked).toBe(true);
    tick("zero", true);
    choose("Baseline", "zero");
    view.frame();
    expect(view.model.saves[3]).toEqual({ baseline: "zero" });
    menuOf("Baseline").click();
    expect(menuLines("Baseline")).toHaveLength(2);
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
    const select = menuOf("Baseline");
    expect(select.getAttribute("aria-invalid")).toBe("true");
    expect(document.getElementById(select.getAttribute("aria-describedby")!)!.textContent).toBe("no blur");
    expect(menuOf("Method").getAttribute("aria-invalid")).toBeNull();
    view.model.receive({ refused: {} });
    view.frame();
    expect(select.getAttribute("aria-invalid")).toBeNull();
  });
});
