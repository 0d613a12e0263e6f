/** The beeswarm of all rows: a dot for each row on a line for each column, to point at by pointer and keys. */
import { pack } from "../data/colour-tables";
import { type Rows, shares } from "../data/rows";
import { Announcer } from "../lib/announcer";
import { ARROWS } from "../lib/arrow-keys";
import { context, PixelBuffer } from "../lib/canvas";
import { niceTicks } from "../lib/chart";
import { clamp, h, setAttribute, setVariable } from "../lib/dom";
import { number, signed, tickTexts } from "../lib/format";
import { ranked, stack } from "../lib/swarm";
import type { State } from "../state/state";
import type { View } from "../state/view";

/** The height of a line in pixels of the page; the style sheet has the same. */
export const LINE = 32;
/** What is left free between the lines, and at the ends of the axis. */
const GAP = 4;
const PAD = 8;
/** A pointer this near to a dot points at it. */
const NEAR = 10;
const FAST = 10;

/** Low, middling and high values: apart for eyes that do not see red or green, on a light page and on a dark one. */
const SHADES = [
  [43, 123, 217],
  [160, 147, 163],
  [217, 43, 75],
] as const;
export const STRIP = `linear-gradient(to right, ${SHADES.map((shade) => `rgb(${shade.join()})`).join()})`;
const STEPS = 64;
const COLOURS = Array.from({ length: STEPS + 1 }, (_, i) => {
  const [from, to] = i < STEPS / 2 ? [SHADES[0], SHADES[1]] : [SHADES[1], SHADES[2]];
  const [r, g, b] = [0, 1, 2].map(
    (c) => from[c]! + (to[c]! - from[c]!) * ((2 * i) / STEPS - (i < STEPS / 2 ? 0 : 1)),
  );
  return pack(r!, g!, b!, 0);
});
const MISSING = pack(138, 138, 138, 0);

/** What a column is called. */
export const columnName = (view: View, column: number): string =>
  view.get("table").names?.[column] ?? `column ${column}`;
/** Labels that are the index of a data frame are often bare numbers, which would read as one more of the numbers. */
function rowLabel(view: View, row: number): string {
  const label = view.get("examples")[row]?.label ?? String(row + 1);
  return /^\d+$/.test(label) ? `Row ${label}` : label;
}

/** Small dots for many rows. */
const radiusFor = (count: number): number => clamp(28 / Math.sqrt(count), 1.5, 3.5);

interface Dot {
  readonly line: number;
  readonly row: number;
}

/** Where everything lies, in pixels of the page. */
interface Placing {
  readonly rows: Rows;
  readonly width: number;
  readonly radius: number;
  readonly xs: readonly Float32Array[];
  readonly ys: readonly Float32Array[];
}

/** Both sides of zero have some room, for zero to be seen as what lies between them. */
function place(rows: Rows, width: number): Placing & { readonly low: number; readonly high: number } {
  const low = Math.min(rows.low, -rows.high / 4);
  const high = Math.max(rows.high, -rows.low / 4) || 1;
  const scale = (width - 2 * PAD) / (high - low);
  const radius = radiusFor(rows.count);
  const xs = rows.attributions.map((numbers) => numbers.map((value) => PAD + (value - low) * scale));
  const ys = xs.map((line, i) =>
    stack(line, 2 * radius, LINE - GAP).map((beside) => (i + 0.5) * LINE + beside),
  );
  return { rows, width, radius, xs, ys, low, high };
}

/** The pixels of a dot as seen from the one in its middle, with their opacities; hollow ones stand for what is missing. */
function stamp(radius: number, width: number, hollow: boolean): [number, number][] {
  const pixels: [number, number][] = [];
  const reach = Math.ceil(radius);
  for (let y = -reach; y <= reach; y++) {
    for (let x = -reach; x <= reach; x++) {
      const out = Math.hypot(x, y) - radius;
      const cover = clamp(hollow ? 1 - Math.abs(out + 0.5) : 0.5 - out, 0, 1);
      if (cover) pixels.push([y * width + x, Math.round(cover * 255)]);
    }
  }
  return pixels;
}

export class Swarm {
  readonly node: HTMLElement;
  readonly #pixels = new PixelBuffer();
  readonly #canvas = this.#pixels.canvas;
  readonly #ticks = h("div", { class: "as-rows-ticks", "aria-hidden": "true" });
  readonly #point = h("div", { class: "as-rows-point", hidden: true });
  readonly #tip = h("div", { class: "as-rows-tip", hidden: true, "aria-hidden": "true" });
  readonly #spoken: Announcer;
  readonly #state: State;
  #placing: Placing | undefined;
  #dot: Dot | undefined;
  #lines = 0;
  #drawn: readonly unknown[] = [];

  constructor(state: State, resized: () => void) {
    this.#state = state;
    const { signal } = state;
    const canvas = this.#canvas;
    setAttribute(canvas, "role", "application"); // the arrow keys are for it
    canvas.tabIndex = 0;
    this.#spoken = new Announcer(signal);
    this.node = h(
      "div",
      { class: "as-rows-field" },
      this.#ticks,
      canvas,
      this.#point,
      this.#tip,
      this.#spoken.element,
    );
    const sizes = new ResizeObserver(resized);
    sizes.observe(canvas);
    signal.addEventListener("abort", () => sizes.disconnect());
    canvas.addEventListener("pointermove", (event) => this.#show(this.#dotAt(event)), { signal });
    canvas.addEventListener("click", (event) => this.#pick(this.#dotAt(event)), { signal });
    for (const event of ["pointerleave", "blur"])
      canvas.addEventListener(event, () => this.#show(undefined), { signal });
    canvas.addEventListener("keydown", (event) => this.#pressed(event), { signal });
  }

  /** Shows the first `lines` of the columns. */
  show(view: View, rows: Rows, lines: number): void {
    const canvas = this.#canvas;
    const width = canvas.clientWidth;
    const example = view.get("example");
    const sharp = globalThis.devicePixelRatio || 1;
    this.#lines = lines;
    setVariable(this.node, "--as-lines", lines);
    setAttribute(
      canvas,
      "aria-label",
      `Attributions of ${rows.count} rows by column. Up and down: columns; left and right: rows; Enter: show the row`,
    );
    const now = [rows, lines, width, example, sharp];
    if (!width || now.every((value, i) => value === this.#drawn[i])) return;
    this.#drawn = now;
    if (this.#placing?.rows !== rows || this.#placing.width !== width) this.#place(rows, width);
    this.#draw(example, sharp);
  }

  #place(rows: Rows, width: number): void {
    const { low, high, ...placing } = place(rows, width);
    this.#placing = placing;
    this.#show(undefined);
    const scale = (width - 2 * PAD) / (high - low);
    const ticks = niceTicks({ low, high });
    const texts = tickTexts(ticks);
    this.#ticks.replaceChildren(
      ...ticks.map((tick, i) => {
        const line = h("span", { "data-zero": tick === 0 }, h("span", {}, texts[i]!));
        setVariable(line, "--as-x", `${PAD + (tick - low) * scale}px`);
        return line;
      }),
    );
  }

  #draw(example: number, sharp: number): void {
    const { rows, width, radius, xs, ys } = this.#placing!;
    const [w, high] = [Math.round(width * sharp), Math.round(this.#lines * LINE * sharp)];
    const [full, hollow] = [false, true].map((one) => stamp(radius * sharp, w, one));
    const painted = this.#pixels.paint(w, high, (out) => {
      out.fill(0);
      for (let line = 0; line < this.#lines; line++) {
        const shade = shares(rows.values[line]!);
        for (let row = 0; row < rows.count; row++) {
          const y = ys[line]![row]!;
          if (Number.isNaN(y)) continue;
          const known = !Number.isNaN(shade[row]);
          const colour = known ? COLOURS[Math.round(shade[row]! * STEPS)]! : MISSING;
          const middle = Math.floor(y * sharp) * w + Math.floor(xs[line]![row]! * sharp);
          for (const [offset, opacity] of known ? full! : hollow!) {
            const at = middle + offset;
            // The edge of a dot does not cut into the next one.
            if (opacity >= out[at]! >>> 24) out[at] = colour | (opacity << 24);
          }
        }
      }
    });
    const ctx = painted && context(this.#canvas);
    if (!ctx) return;
    for (let line = 0; line < this.#lines; line++) {
      const y = ys[line]![example] ?? NaN;
      if (!Number.isNaN(y)) ring(ctx, xs[line]![example]!, y, radius, sharp);
    }
  }

  #dotAt({ clientX, clientY }: MouseEvent): Dot | undefined {
    const box = this.#canvas.getBoundingClientRect();
    const [x, y] = [clientX - box.left, clientY - box.top];
    const line = Math.floor(y / LINE);
    const { xs, ys } = this.#placing ?? { xs: [], ys: [] };
    let near = NEAR;
    let found: Dot | undefined;
    ys[line]?.forEach((at, row) => {
      const far = Math.hypot(xs[line]![row]! - x, at - y);
      if (far < near) [near, found] = [far, { line, row }];
    });
    return found;
  }

  /** Points at a dot, and tells of it. */
  #show(dot: Dot | undefined): string {
    this.#dot = dot;
    const point = this.#point;
    const tip = this.#tip;
    point.hidden = tip.hidden = !dot;
    const placing = this.#placing;
    if (!dot || !placing) return "";
    const { line, row } = dot;
    const { view } = this.#state;
    const { rows, xs, ys, width } = placing;
    for (const element of [point, tip]) {
      setVariable(element, "--as-x", xs[line]![row]!);
      setVariable(element, "--as-y", ys[line]![row]!);
    }
    setVariable(tip, "--as-share", clamp(xs[line]![row]! / width, 0, 1));
    const value = rows.values[line]![row]!;
    tip.replaceChildren(
      h("bdi", {}, rowLabel(view, row)),
      ": ",
      h("bdi", {}, columnName(view, rows.columns[line]!)),
      ` ${Number.isNaN(value) ? "missing" : number(value)}, `,
      h("b", {}, signed(rows.attributions[line]![row]!)),
    );
    return tip.textContent;
  }

  #pick(dot: Dot | undefined): void {
    if (dot) this.#state.choose("example", dot.row);
  }

  #pressed(event: KeyboardEvent): void {
    const { key, shiftKey } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || !this.#placing) return;
    const by = { ...ARROWS, Home: [-Infinity, 0], End: [Infinity, 0] }[key];
    if (by) this.#move(by[0]! * (shiftKey ? FAST : 1), by[1]!);
    else if (key === "Enter" || key === " ") this.#pick(this.#dot);
    else return;
    event.preventDefault();
  }

  /** By so many rows, in the order of their attributions, and by so many lines. The first step only shows where one is. */
  #move(by: number, down: number): void {
    const { rows } = this.#placing!;
    const from = this.#dot;
    const line = clamp((from?.line ?? 0) + (from ? down : 0), 0, this.#lines - 1);
    const numbers = rows.attributions[line]!;
    let row = from?.row ?? Math.min(this.#state.view.get("example"), rows.count - 1);
    if (from && by) {
      const order = ranked(numbers);
      row = order[clamp(order.indexOf(row) + by, 0, order.length - 1)] ?? row;
    }
    this.#spoken.say(this.#show({ line, row }), true);
  }
}

/** Marks a dot on whatever ground: white around it, and black around that. */
function ring(ctx: CanvasRenderingContext2D, x: number, y: number, radius: number, sharp: number): void {
  for (const [colour, more] of [
    ["#000", 3],
    ["#fff", 1.5],
  ] as const) {
    ctx.strokeStyle = colour;
    ctx.lineWidth = 1.5 * sharp;
    ctx.beginPath();
    ctx.arc(x * sharp, y * sharp, (radius + more) * sharp, 0, 7);
    ctx.stroke();
  }
}
