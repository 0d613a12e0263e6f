/** An Explorer on a picture of 8 by 6 pixels, of which regions can be picked. */
import type { RawCovered, RawHeat } from "../../src/state/messages.generated";
import type { Traits } from "../../src/state/traits.generated";
import { noise, onWire, sampleTraits } from "./fake";

export const W = 8;
export const H = 6;
export const VALUES = noise(W * H);
/** The left half, the upper right, the lower right. */
export const LABELS = Uint8Array.from({ length: 12 }, (_, i) => (i % 4 < 2 ? 0 : i < 4 ? 1 : 2));

export const regionHeat = (changes: Partial<RawHeat> = {}): RawHeat => ({
  ...sampleTraits().heat,
  shape: [H, W],
  data: onWire(VALUES),
  quantity: "contribution",
  tells_worth: true,
  summable: true,
  ...changes,
});

export function regionTraits(changes: Partial<Traits> = {}): Partial<Traits> {
  return {
    picture: { shape: [H, W], data: onWire(new Uint8Array(W * H * 3).fill(90)) },
    heat: regionHeat(),
    selection: null,
    segments: { shape: [3, 4], data: onWire(LABELS) },
    covered: {},
    output: "auto",
    tab: "where",
    ...changes,
  };
}

/** What the kernel says of a region. */
export const coveredOf = (region: Traits["selection"], changes: Partial<RawCovered> = {}): RawCovered => ({
  request: {
    target: 7,
    contrast: null,
    example: 0,
    baseline: "zero",
    output: "auto",
    layer: null,
    neuron: null,
  },
  region: region!,
  pixels: 6,
  before: 3,
  after: 1.5,
  cost: 1.5,
  kind: "probability",
  items: [
    { index: 7, label: "cat", before: 0.7, after: 0.3, before_score: 3, after_score: 1.5 },
    { index: 2, label: "dog", before: 0.2, after: 0.4, before_score: 1, after_score: 2 },
  ],
  ...changes,
});
