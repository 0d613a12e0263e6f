/** What part of the picture is in view, in shares of the picture. */
import { clamp } from "./dom";

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** The visible part begins at (left, top) and is 1 / zoom wide and high. */
export interface Viewport {
  readonly zoom: number;
  readonly left: number;
  readonly top: number;
}

export const WHOLE: Viewport = { zoom: 1, left: 0, top: 0 };

/** One press of a button or key. */
export const STEP = 1.5;

const FEWEST_PIXELS = 8;

/** As far as one can zoom in: until a few pixels of the picture fill the view. */
export function largestZoom(w: number, h: number): number {
  return Math.max(1, Math.max(w, h) / FEWEST_PIXELS);
}

function inside(zoom: number, left: number, top: number): Viewport {
  if (zoom <= 1.0001) return WHOLE;
  const room = 1 - 1 / zoom;
  return { zoom, left: clamp(left, 0, room), top: clamp(top, 0, room) };
}

/** Zooms by a factor; what lies at `at` (a share of the view, its middle by default) stays there. */
export function zoomBy(
  view: Viewport,
  factor: number,
  largest: number,
  at: Point = { x: 0.5, y: 0.5 },
): Viewport {
  const zoom = clamp(view.zoom * factor, 1, largest);
  const grown = 1 / view.zoom - 1 / zoom;
  return inside(zoom, view.left + at.x * grown, view.top + at.y * grown);
}

/** Moves the view by shares of itself. */
export function panBy(view: Viewport, dx: number, dy: number): Viewport {
  return inside(view.zoom, view.left + dx / view.zoom, view.top + dy / view.zoom);
}

/** The least move that brings a point of the picture into the view, with a little room around it. */
export function reveal(view: Viewport, point: Point): Viewport {
  if (view.zoom === 1) return view;
  const size = 1 / view.zoom;
  const room = size * 0.06;
  const left = clamp(view.left, point.x + room - size, point.x - room);
  const top = clamp(view.top, point.y + room - size, point.y - room);
  return left === view.left && top === view.top ? view : inside(view.zoom, left, top);
}

/** A point in the view as a point in the picture. */
export function toPicture(view: Viewport, at: Point): Point {
  return { x: view.left + at.x / view.zoom, y: view.top + at.y / view.zoom };
}

/** A point in the picture as a point in the view; outside of 0..1 when it is out of sight. */
export function toView(view: Viewport, at: Point): Point {
  return { x: (at.x - view.left) * view.zoom, y: (at.y - view.top) * view.zoom };
}

/** How much a turn of the wheel zooms, in whatever unit the browser counts. */
export function wheelFactor(delta: number, unit: number): number {
  const pixels = delta * (unit === 1 ? 16 : unit === 2 ? 400 : 1);
  return Math.exp(-clamp(pixels, -240, 240) * 0.0025);
}
