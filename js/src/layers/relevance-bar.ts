/** How much of the prediction passes at each layer: the bars of the tree. */
import { signed } from "../lib/format";
import { memo } from "../lib/memo";
import { answers } from "../selection/freshness";
import type { State } from "../state/state";
import type { RawFlow } from "../state/traits";

const largest = memo(({ values = [] }: RawFlow): number =>
  values.reduce<number>((most, value) => Math.max(most, Math.abs(value ?? 0)), 0),
);

export interface Passage {
  readonly value: number;
  /** The bar's length, as a share of the longest. */
  readonly share: number;
  readonly words: string;
}

/** What passes at the layer of a row; undefined where it is not known, or of other choices than the present ones. */
export function passageAt(state: State, row: number): Passage | undefined {
  const flow = state.get("flow");
  const value = flow?.values?.[row] ?? undefined;
  if (
    !flow ||
    value === undefined ||
    !answers(state, flow.request ?? {}, ["target", "contrast", "example", "baseline"])
  ) {
    return undefined;
  }
  const most = largest(flow);
  return { value, share: most > 0 ? Math.abs(value) / most : 0, words: `carries ${signed(value)}` };
}
