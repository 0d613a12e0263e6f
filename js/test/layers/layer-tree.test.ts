/** The tree of layers: what a person sees, does and hears. */
import { describe, expect, it } from "vitest";
import type { LayerRow } from "../../src/state/messages.generated";
import { all, draw, find, inputOf, press, treeItem, type, useViews, view } from "../support/view";

useViews();

const LAYER: LayerRow = {
  name: "",
  kind: "Block",
  parameters: 0,
  shape: [1, 8, 4, 4],
  depth: 0,
  spatial: true,
};

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

  it("keep the picked one in view when a search is over", async () => {
    const many = Array.from({ length: 400 }, (_, i) => ({ ...LAYER, name: `block${i}`, depth: 1 }));
    draw({ layers: [{ ...LAYER, name: "" }, ...many], layer: "block300" });
    const box = find(".as-tree");
    type("Search layers", "block7");
    await Promise.resolve();
    expect(box.scrollTop).toBe(0);
    type("Search layers", "");
    await Promise.resolve();
    const at = 24 * 302; // the input and the model come before
    expect(box.scrollTop).toBeLessThanOrEqual(at);
    expect(box.scrollTop + 480).toBeGreaterThanOrEqual(at + 24);
    expect(treeItem("block300").getAttribute("aria-selected")).toBe("true");
  });

  it("open what the picked one is in when a search is over", () => {
    draw();
    treeItem("").click(); // closes the model
    type("Search layers", "stem.conv");
    treeItem("stem.conv").click();
    view.frame();
    type("Search layers", "");
    expect(treeItem("stem.conv").getAttribute("aria-selected")).toBe("true");
    expect(treeItem("stem").getAttribute("aria-expanded")).toBe("true");
  });
});
