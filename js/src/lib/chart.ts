/** A small line chart in shares of its area: curves as SVG that stretches, numbers and marker as HTML that does not. */
import { h, setText, setVariable, svg } from "./dom";
import { tickTexts } from "./format";

/** A share of the numbers' size that is no difference between them: they are computed in 32 bits. */
const FLAT = 1e-6;

export interface Range {
  readonly low: number;
  readonly high: number;
}

/** The range of the values with a little room on both sides. */
export function paddedRange(values: readonly number[]): Range {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const size = Math.max(Math.abs(low), Math.abs(high));
  // What differs only by rounding is flat: its ticks would differ by less than their digits say.
  const pad = high - low > size * FLAT ? (high - low) * 0.06 : size * 0.1 || 1;
  return { low: low - pad, high: high + pad };
}

/** Round numbers inside the range, about `wanted` of them. */
export function niceTicks({ low, high }: Range, wanted = 4): number[] {
  const rough = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough * 0.999) ?? 10) * power;
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  // Multiplying whole numbers keeps the ticks clean: 0.3 and not 0.30000000000000004.
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** The points of a curve for an SVG of one by one, y downwards. */
export function polyline(xs: readonly number[], ys: ArrayLike<number>, { low, high }: Range): string {
  const points: string[] = [];
  xs.forEach((x, i) => {
    const y = 1 - (ys[i]! - low) / (high - low);
    if (Number.isFinite(y)) points.push(`${x.toFixed(4)},${y.toFixed(4)}`);
  });
  return points.join(" ");
}

export class Chart {
  readonly element: HTMLElement;
  /** The area between the axes, for pointers. */
  readonly area: HTMLElement;
  readonly #curve = svg("polyline", { class: "as-curve" });
  readonly #second = svg("polyline", { class: "as-curve-second" });
  readonly #grid = h("div", { class: "as-grid" });
  readonly #marker = h("div", { class: "as-marker", hidden: true }, h("div", { class: "as-dot" }));
  #range: Range = { low: 0, high: 1 };

  constructor() {
    const picture = svg(
      "svg",
      { viewBox: "0 0 1 1", preserveAspectRatio: "none", "aria-hidden": "true" },
      this.#second,
      this.#curve,
    );
    this.area = h("div", { class: "as-area" }, this.#grid, picture, this.#marker);
    this.element = h("div", { class: "as-plot" }, this.area);
  }

  /** Draws the curves over x from 0 to 1; without curves only the frame stays. */
  show(xs: readonly number[], main: ArrayLike<number>, second?: ArrayLike<number>): void {
    const all = [...Array.from(main), ...Array.from(second ?? [])].filter(Number.isFinite);
    this.#range = all.length ? paddedRange(all) : { low: 0, high: 1 };
    const ticks = all.length ? niceTicks(this.#range) : [];
    const texts = tickTexts(ticks);
    this.#curve.setAttribute("points", polyline(xs, main, this.#range));
    this.#second.setAttribute("points", second ? polyline(xs, second, this.#range) : "");
    this.#grid.replaceChildren(
      ...ticks.map((tick, i) => {
        const line = h("div", { class: "as-gridline" }, h("span", {}, texts[i]!));
        setVariable(line, "--as-y", this.#share(tick).toFixed(4));
        if (tick === 0) line.dataset.zero = "1";
        return line;
      }),
      ...[0, 0.25, 0.5, 0.75, 1].map((x) => {
        const tick = h("span", { class: "as-xtick" });
        setText(tick, String(x));
        setVariable(tick, "--as-x", x);
        return tick;
      }),
    );
  }

  /** Puts the marker somewhere on the curve; without a value there is none. */
  mark(x: number, y: number | undefined): void {
    const known = y !== undefined && Number.isFinite(y);
    this.#marker.hidden = !known;
    setVariable(this.#marker, "--as-x", x.toFixed(4));
    if (known) setVariable(this.#marker, "--as-y", this.#share(y).toFixed(4));
  }

  /** How far up a value stands, as a share of the area. */
  #share(y: number): number {
    return (y - this.#range.low) / (this.#range.high - this.#range.low);
  }
}
