/** How the canvas is divided: one pane, or two side by side with the same part of the picture in both. */
import { clamp } from "../lib/dom";
import type { Point } from "../lib/zoom";
import type { Mode } from "../state/messages.generated";

// Longest sides in pixels of the page: what the canvas wants to have, and the most it may have when a whole multiple
// of the picture is more than it wants (each pixel more costs time in every frame of a walk).
const WANTED = 420;
const LARGEST = 720;
/** The gap between two panes, as a share of a pane's width. */
const GAP = 0.03;

export interface Panes {
  readonly count: 1 | 2;
  /** Of one pane. */
  readonly width: number;
  readonly height: number;
  readonly gap: number;
}

export const paneCount = (mode: Mode): 1 | 2 => (mode === "side" ? 2 : 1);

/** A whole multiple of the picture, so that its pixels stay even; large pictures are scaled down. */
export function panesFor(w: number, height: number, ratio: number, count: 1 | 2): Panes {
  const longest = Math.max(w * count, height);
  const sharp = Math.min(2, Math.max(1, ratio));
  const whole = Math.max(1, Math.ceil((WANTED * sharp) / longest));
  const scale = Math.min(whole, (LARGEST * sharp) / longest);
  const width = Math.round(w * scale);
  return {
    count,
    width,
    height: Math.round(height * scale),
    gap: count === 2 ? Math.round(width * GAP) : 0,
  };
}

export const canvasWidth = ({ count, width, gap }: Panes): number => count * width + gap;

/** Where a pane begins and how wide it is, as shares of the canvas. */
export function paneSpan(panes: Panes, index: number): { from: number; width: number } {
  const whole = canvasWidth(panes);
  return { from: (index * (panes.width + panes.gap)) / whole, width: panes.width / whole };
}

/** A place on the canvas (shares) as a place in the pane that it lies in, or lies next to. */
export function toPane(panes: Panes, at: Point): Point {
  const second = paneSpan(panes, 1);
  const index = panes.count === 2 && at.x >= second.from - panes.gap / 2 / canvasWidth(panes) ? 1 : 0;
  const { from, width } = paneSpan(panes, index);
  return { x: clamp((at.x - from) / width, 0, 1), y: clamp(at.y, 0, 1) };
}
