/** A region while it is being drawn: what the hand has done so far, and the region that it makes. */
import { clamp } from "../lib/dom";
import type { Point } from "../lib/zoom";
import type { Region } from "../state/messages.generated";

/** Corners of a lasso that lie nearer than that (in pixels of the picture) are one. */
const NEAR = 0.5;
/** A hand that draws for longer than this draws on with its last corner. */
const MOST_CORNERS = 2000;

interface Extent {
  readonly width: number;
  readonly height: number;
}

export interface Draft {
  /** Goes on to a place, in pixels of the picture. */
  to(at: Point): void;
  readonly region: Region | undefined;
  /** The line so far, as an SVG path. */
  readonly line: string;
}

/** From one corner to the other, whole pixels, at least one. */
export class BoxDraft implements Draft {
  #to: Point;
  readonly #from: Point;
  readonly #extent: Extent;

  constructor(from: Point, extent: Extent) {
    this.#from = from;
    this.#to = from;
    this.#extent = extent;
  }

  to(at: Point): void {
    this.#to = at;
  }

  /** Top, left, bottom, right. */
  get box(): readonly [number, number, number, number] {
    const { width, height } = this.#extent;
    const [left, right] = span(this.#from.x, this.#to.x, width);
    const [top, bottom] = span(this.#from.y, this.#to.y, height);
    return [top, left, bottom, right];
  }

  get region(): Region {
    return { kind: "box", box: this.box };
  }

  get line(): string {
    const [top, left, bottom, right] = this.box;
    return `M${left} ${top}H${right}V${bottom}H${left}Z`;
  }
}

function span(a: number, b: number, length: number): readonly [number, number] {
  const low = clamp(Math.floor(Math.min(a, b)), 0, length - 1);
  return [low, clamp(Math.ceil(Math.max(a, b)), low + 1, length)];
}

/** A line that closes itself. */
export class LassoDraft implements Draft {
  readonly #points: (readonly [number, number])[] = [];

  constructor(from: Point) {
    this.to(from);
  }

  to({ x, y }: Point): void {
    const last = this.#points.at(-1);
    if (last && Math.hypot(last[0] - x, last[1] - y) < NEAR) return;
    if (this.#points.length >= MOST_CORNERS) this.#points.pop();
    this.#points.push([Number(x.toFixed(2)), Number(y.toFixed(2))]);
  }

  get region(): Region | undefined {
    return this.#points.length >= 3 ? { kind: "lasso", points: this.#points } : undefined;
  }

  get line(): string {
    return `M${this.#points.map(([x, y]) => `${x} ${y}`).join("L")}Z`;
  }
}
