import { describe, expect, it } from "vitest";
import { buttonOf, draw, find, option, press, useViews, view } from "../support/view";

useViews();

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
