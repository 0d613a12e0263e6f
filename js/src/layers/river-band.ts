/** The river itself: as wide as the layers have channels, in shades of how much passes, with a mark where one is. */
import { placeOf, type Stretch } from "../data/layer-stops";
import { h, setVariable, svg } from "../lib/dom";
import type { Reach } from "../selection/river";

/** Pieces that it is drawn of at most: more are finer than a pixel. */
const MOST_PIECES = 240;
/** What a layer of one channel is wide, against the widest. */
const LEAST = 0.12;
/** Of the drawing, which the style sheet stretches. */
const WIDTH = 1000;
const HEIGHT = 100;
/** Pieces lie over each other a little, lest the ground show between them. */
const OVERLAP = 1;

/** The input counts as narrow, and all passes there: nothing is known of it. */
const INPUT: Reach = { width: 0, share: undefined, against: false };

export class RiverBand {
  readonly element: HTMLElement;
  readonly #drawing = svg("svg", {
    class: "as-river-water",
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    preserveAspectRatio: "none",
    "aria-hidden": "true",
  });
  readonly #mark = h("span", { class: "as-river-mark" });
  #drawn: readonly Reach[] | undefined;

  constructor() {
    this.element = h("div", { class: "as-river-band" }, this.#drawing, this.#mark);
  }

  draw(reaches: readonly Reach[], stretches: readonly Stretch[]): void {
    if (reaches === this.#drawn) return;
    this.#drawn = reaches;
    const all = [INPUT, ...reaches];
    const step = Math.ceil(all.length / MOST_PIECES);
    const numbers = [...all.keys()].filter((number) => number % step === 0 || number === all.length - 1);
    const at = numbers.map((number) => placeOf(stretches, number) * WIDTH);
    const half = numbers.map((number) => ((LEAST + (1 - LEAST) * all[number]!.width) * HEIGHT) / 2);
    this.#drawing.replaceChildren(
      ...numbers.map((number, i) => {
        const { share, against } = all[number]!;
        const piece = svg("path", { class: "as-river-piece", d: outline(at, half, i) });
        // By the root, so that what is little can be told from less.
        if (share !== undefined) setVariable(piece, "--as-share", Math.sqrt(share).toFixed(3));
        if (share === undefined) piece.setAttribute("data-unknown", "1");
        if (against) piece.setAttribute("data-sign", "-");
        return piece;
      }),
    );
  }

  /** Moves the mark to a share of the whole way. */
  mark(place: number): void {
    setVariable(this.#mark, "--as-at", place.toFixed(5));
  }
}

/** One piece: from half way to the one before, to half way to the one after it. */
function outline(at: readonly number[], half: readonly number[], i: number): string {
  const x = at[i]!;
  const y = half[i]!;
  const last = at.length - 1;
  const left = i ? (at[i - 1]! + x) / 2 : 0;
  const right = i < last ? (at[i + 1]! + x) / 2 + OVERLAP : WIDTH;
  const before = i ? (half[i - 1]! + y) / 2 : y;
  const after = i < last ? (half[i + 1]! + y) / 2 : y;
  const middle = HEIGHT / 2;
  const upper = [
    [left, middle - before],
    [x, middle - y],
    [right, middle - after],
  ];
  const lower = [
    [right, middle + after],
    [x, middle + y],
    [left, middle + before],
  ];
  return `M${[...upper, ...lower].map((point) => point.map((one) => one.toFixed(1)).join(" ")).join("L")}Z`;
}
