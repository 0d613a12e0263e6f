/** What reads a region, and looking inside it. */
import { describe, expect, it } from "vitest";
import type { RawReader, Region } from "../../src/state/messages.generated";
import { coveredOf, regionTraits } from "../support/region-traits";
import { all, draw, find, useViews, view } from "../support/view";

useViews();

const BOX: Region = { kind: "box", box: [1, 2, 4, 4] };
const READERS: readonly RawReader[] = [
  { layer: "stem", channel: 3, noun: "channel", contribution: 0.25, share: 0.5 },
  { layer: "<b>block</b>", channel: 12, noun: "unit", contribution: -1.5, share: 0.041 },
];
const buttons = (): HTMLButtonElement[] => all(".as-reader") as HTMLButtonElement[];

describe("what reads a region", () => {
  it("is told from early to late, with what each contributes there", () => {
    draw(regionTraits({ selection: BOX, covered: coveredOf(BOX, { readers: READERS }) }));
    expect(buttons().map(({ textContent }) => textContent)).toEqual(["stem#3", "<b>block</b>#12"]);
    expect(buttons()[0]!.title).toContain("+0.25, 50.0% of what its channels contribute here");
    expect(buttons()[1]!.querySelector(".as-number")?.getAttribute("data-sign")).toBe("-");
  });

  it("is looked into by a click", () => {
    draw(
      regionTraits({
        selection: BOX,
        covered: coveredOf(BOX, { readers: READERS }),
        layer: null,
        neuron: null,
      }),
    );
    buttons()[0]!.click();
    view.frame();
    expect(view.model.values).toMatchObject({ tab: "inside", layer: "stem", neuron: [3] });
    expect(view.model.values.selection).toEqual(BOX);
  });

  it("is not told of another region, or where it is not known", () => {
    const other: Region = { kind: "box", box: [0, 0, 1, 1] };
    draw(regionTraits({ selection: other, covered: coveredOf(BOX, { readers: READERS }) }));
    expect(find(".as-readers").hidden).toBe(true);
    view.model.receive({ selection: BOX, covered: coveredOf(BOX) });
    view.frame();
    expect(find(".as-readers").hidden).toBe(true);
  });

  it("cannot be looked into without a kernel, where the page has no map of the layer", () => {
    const traits = regionTraits({ selection: BOX, covered: coveredOf(BOX, { readers: READERS }) });
    draw(traits);
    expect(buttons().every(({ disabled }) => !disabled)).toBe(true);
    draw({ ...traits, _live: false });
    expect(buttons().every(({ disabled }) => disabled)).toBe(true);
  });
});
