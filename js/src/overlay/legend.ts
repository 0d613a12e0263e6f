/** The legend of the overlay: a colour bar with numbers, and honest words about what it leaves out. */
import { legendStrip } from "../data/colour-tables";
import type { Heat } from "../data/messages";
import type { Scale, Summary } from "../data/statistics";
import { PixelBuffer } from "../lib/canvas";
import { h, setAttribute, setText } from "../lib/dom";
import { sameValue } from "../lib/equality";
import { number, percent, signed } from "../lib/format";
import { estimateNotes } from "../selection/finding";
import type { Mode, Sign } from "../state/messages.generated";

const LENGTH = 256;

export interface LegendContent {
  readonly scale: Scale;
  readonly summary: Summary;
  readonly sign: Sign;
  readonly mode: Mode;
  readonly table: Uint32Array | undefined;
  /** Only for a finished map, not while walking. */
  readonly heat: Heat | undefined;
  /** What the numbers are, in words, and whether they speak for and against something. */
  readonly unit?: string;
  readonly forAndAgainst?: boolean;
  /** The side of the blocks that values are summed over, in pixels; 1 for none. */
  readonly side?: number;
  /** The scale is that of two maps, and ends where the larger one's does. */
  readonly shared?: boolean;
  /** The other of two maps has a scale of its own, for its numbers are something else. */
  readonly apart?: boolean;
  /** What has to be said before anything else. */
  readonly first?: string;
}

const SIGN_WORDS: Readonly<Record<Sign, string>> = {
  all: "",
  positive: "positive values only",
  negative: "magnitude of negative values",
  absolute: "absolute values",
};

/** The numbers below the bar: low end, middle, high end. */
export function legendTicks(limit: number, sign: Sign): readonly [string, string, string] {
  return sign === "all" ? [number(-limit), "0", number(limit)] : ["0", number(limit / 2), number(limit)];
}

/** The numbers at the ends, and between them what they are. */
export function legendWords({ scale, sign, unit = "", forAndAgainst }: LegendContent): readonly string[] {
  const [low, between, high] = legendTicks(scale.limit, sign);
  const middle = unit === "" ? between : unit;
  if (!forAndAgainst) return [low, middle, high];
  const words = {
    all: [`${low} against`, `${high} for`],
    positive: [low, `${high} for`],
    negative: [low, `${high} against`],
    absolute: [low, high],
  }[sign];
  return [words[0]!, middle, words[1]!];
}

/** The words of the legend, most important first. */
export function legendNotes(content: LegendContent): string[] {
  const { scale, summary, sign, mode, heat, shared, apart, first, side = 1 } = content;
  const notes: string[] = first ? [first] : [];
  const blank = summary.min === 0 && summary.max === 0;
  if (scale.limit === 0 || blank) {
    notes.push(summary.peak < 0 ? "no finite value" : blank ? "all zero" : `no ${sign} values`);
  } else {
    if (side > 1) notes.push(`summed over ${side} px`);
    if (mode === "masked") notes.push("grey hides the picture where values are small");
    if (SIGN_WORDS[sign]) notes.push(SIGN_WORDS[sign]);
    if (shared) notes.push("one scale for both maps");
    else if (apart) notes.push("each map has its own scale");
    else if (scale.held) notes.push("scale held");
    if (scale.sparse) notes.push("scale ends at the largest value");
    else notes.push(scale.clipped > 0 ? `${percent(scale.clipped)} beyond the scale` : "nothing clipped");
  }
  if (summary.nans > 0) notes.push(`${summary.nans} NaN, not drawn`);
  if (heat) {
    if (heat.sum !== undefined) notes.push(`sum ${signed(heat.sum)}`); // not all maps can be added up
    notes.push(...estimateNotes(heat));
  }
  return notes;
}

/** What the less familiar words of the notes mean. */
function glossary(heat: Heat | undefined): string {
  const lines: string[] = [];
  if (heat?.gap !== undefined) {
    lines.push(
      "gap: sum of the attributions minus the change of the output from the baseline to the input; " +
        "0 when the attribution is complete",
    );
  }
  if (heat?.error !== undefined) lines.push("error: largest standard error of a value");
  if (heat?.relativeError !== undefined) {
    lines.push("% of the map: root mean square of the errors over that of the map");
  }
  if (heat?.evaluations !== undefined) lines.push("evaluations: how many inputs the model was run on");
  return lines.join("\n");
}

export class Legend {
  readonly element: HTMLElement;
  readonly #bar = new PixelBuffer();
  #painted: Uint32Array | undefined;
  #noted: readonly string[] = [];
  readonly #ticks = [h("span"), h("span"), h("span")] as const;
  /** What there is to say about the numbers: stands where there is a line for it. */
  readonly notes = h("div", { class: "as-notes" });

  constructor() {
    this.#bar.canvas.className = "as-bar";
    this.#bar.canvas.setAttribute("aria-hidden", "true");
    this.element = h(
      "div",
      { class: "as-legend", "data-empty": "1" },
      this.#bar.canvas,
      h("div", { class: "as-ticks" }, ...this.#ticks),
    );
  }

  /** Shows what a map's colours mean; without content a quiet place holder, with a word about why. */
  show(content: LegendContent | undefined, otherwise = ""): void {
    setAttribute(this.element, "data-empty", content?.table && content.scale.limit > 0 ? undefined : "1");
    if (!content) {
      for (const tick of this.#ticks) setText(tick, "");
      this.#note([otherwise]);
      this.#explain("");
      return;
    }
    const { table, sign, scale, mode, heat } = content;
    if (table && scale.limit > 0 && table !== this.#painted) {
      this.#painted = table; // a table is made anew when anything about its colours changes
      this.#bar.paint(LENGTH, 1, (out) => out.set(legendStrip(table, sign, LENGTH, mode)));
    }
    const texts = scale.limit > 0 ? legendWords(content) : ["", "", ""];
    this.#ticks.forEach((tick, i) => setText(tick, texts[i]!));
    if (this.#ticks[1].title !== texts[1]) this.#ticks[1].title = texts[1]!; // in whole, where it is cut off
    this.#note(legendNotes(content));
    this.#explain(glossary(heat));
  }

  /** The words in full, and what the less familiar ones mean. */
  #explain(text: string): void {
    const full = [this.notes.textContent, text].filter(Boolean).join("\n");
    if (this.notes.title !== full) this.notes.title = full;
  }

  #note(notes: readonly string[]): void {
    if (sameValue(notes, this.#noted)) return;
    this.#noted = notes;
    // Each a whole of its own: what there is no room for is left out, and not cut.
    const between = (i: number): Node[] => (i === 0 ? [] : [h("span", { class: "as-sizeless" }, " · ")]);
    this.notes.replaceChildren(...notes.map((note, i) => h("span", {}, ...between(i), note)));
  }
}
