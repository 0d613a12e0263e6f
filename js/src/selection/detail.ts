/** How fine a map is drawn: each pixel by itself, or summed over blocks. */
import type { Heat } from "../data/messages";
import { picture } from "../data/messages";
import type { View } from "../state/view";
import { currentTable } from "./table";

/** Sides of blocks, in pixels of the input. */
const SIDES = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512] as const;
/** Pictures of at most so many pixels along a side show each of them. */
const SMALL = 64;
/** Blocks along the shorter side that make a map of regions. */
const REGIONS = 14;
/** No fewer blocks than that: then there is nothing to see any more. */
const FEWEST = 3;

function shorterSide(view: View): number {
  const image = picture(view.get("picture"));
  return image ? Math.min(image.w, image.h) : 1;
}

/** The sides to choose from for a picture of this size. */
export const sidesFor = (shorter: number): readonly number[] =>
  SIDES.filter((side) => side === 1 || shorter / side >= FEWEST);

/** The side that makes regions of a picture; 1 where its pixels are large enough to be seen. */
export function automaticSide(shorter: number): number {
  if (shorter <= SMALL) return 1;
  const wanted = shorter / REGIONS;
  return sidesFor(shorter).reduce((best, side) =>
    Math.abs(Math.log(side / wanted)) < Math.abs(Math.log(best / wanted)) ? side : best,
  );
}

/** The side of the blocks in pixels of the input: the chosen one, or what suits the picture. */
export function blockSide(view: View): number {
  if (currentTable(view)) return 1; // columns that stand beside each other have nothing to do with each other
  const chosen = view.get("detail");
  return chosen !== null && chosen >= 1 ? chosen : automaticSide(shorterSide(view));
}

/** The block around a pixel: top, left, bottom, right. Where each pixel is drawn by itself, as many as make a place. */
export function placeBox(
  view: View,
  { x, y }: { readonly x: number; readonly y: number },
  { width, height }: { readonly width: number; readonly height: number },
): [number, number, number, number] {
  const drawn = blockSide(view);
  const side = drawn > 1 ? drawn : Math.max(1, Math.round(Math.min(width, height) / REGIONS));
  const left = Math.floor(x / side) * side;
  const top = Math.floor(y / side) * side;
  return [top, left, Math.min(height, top + side), Math.min(width, left + side)];
}

/** The sides that the slider goes through, the chosen one among them. */
export function sidesOf(view: View): readonly number[] {
  const chosen = view.get("detail");
  const usual = sidesFor(shorterSide(view));
  if (chosen === null || usual.includes(chosen)) return usual;
  return [...usual, chosen].sort((a, b) => a - b);
}

/** How many numbers of a map lie along a block's side, where each stands for so many pixels. */
export const inNumbers = (side: number, pixels: number): number =>
  Math.max(1, Math.round(side / Math.sqrt(pixels)));

/** Why a map is drawn as it is, whatever is chosen; undefined where it can be summed. */
export function whyNotSummed(of: Heat): string | undefined {
  if (of.summable) return undefined;
  return of.request.layer === null || of.request.layer === undefined
    ? "The numbers of this map cannot be added up: each stands for a whole region already"
    : "A layer's map is as fine as the layer";
}
