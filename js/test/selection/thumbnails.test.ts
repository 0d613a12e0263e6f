/** The small pictures in the menus. */
import { describe, expect, it } from "vitest";
import { onWire, sampleTraits } from "../support/fake";
import { draw, menuLines, menuOf, useViews, view } from "../support/view";

useViews();

const picture = { shape: [1, 2] as const, data: onWire(new Uint8Array(6).fill(9)) };
const withPicture = (label: string): (string | undefined)[] =>
  menuLines(label)
    .filter((line) => line.querySelector("canvas"))
    .map((line) => line.dataset.value);

describe("the menus' small pictures", () => {
  it("are of the baselines that are known", () => {
    draw({ baseline_pictures: { blur: picture, zero: {} } });
    menuOf("Baseline").click();
    expect(withPicture("Baseline")).toEqual(["blur"]);
  });

  it("are of the input, for the place", () => {
    draw();
    menuOf("Seen at").click();
    expect(withPicture("Seen at")).toEqual(["\n"]);
  });

  it("are of the methods that were compared, while that is of the present choices", () => {
    const map = { shape: [1, 2] as const, scale: 1, data: onWire(Uint16Array.of(0x3c00, 0xbc00)) };
    const method = { name: "Saliency", label: "Saliency", control: false, values: [], best: [], notes: [] };
    draw({
      comparison: {
        request: sampleTraits().path!.request!,
        methods: [{ ...method, rows: 1, seconds: 1, map }],
        metrics: [],
      },
    });
    menuOf("Method").click();
    expect(withPicture("Method")).toEqual(["Saliency"]);
    view.model.receive({ baseline: "blur" });
    view.frame();
    menuOf("Method").click();
    menuOf("Method").click();
    expect(withPicture("Method")).toEqual([]);
  });
});
