/** What a layer gives, in words. */
import { shape } from "../lib/format";
import type { LayerRow } from "../state/messages.generated";

/** The output without its batch dimension. */
export function outputShape({ shape: dims }: LayerRow): string {
  if (!dims) return "did not run";
  return shape(dims.length > 1 ? dims.slice(1) : dims);
}

/** Why a layer has no map to lay over the picture: what it gives instead. */
export function gives(layer: LayerRow): string {
  const name = layer.name ? `layer ${layer.name}` : "the model";
  if (!layer.shape) return `${name} did not run`;
  const dims = outputShape(layer);
  switch (layer.layout) {
    case "vector":
      return `${name} gives ${dims} ${dims === "1" ? "number" : "numbers"}`;
    case "tokens":
      return `${name} gives tokens, ${dims}`;
    case "attention":
      return `${name} gives attention between tokens, ${dims}`;
    case "sequence":
      return `${name} gives a sequence, ${dims}`;
    default:
      return `${name} gives ${dims}`;
  }
}
