/** How the grid of channels is looked at: what its colours and numbers show, in which order, and of which head. */
import { type Channels, type Quantity } from "../data/channels";
import { headOf } from "../data/neurons";
import { h } from "../lib/dom";
import { type Select, select } from "../lib/form-controls";
import { memo } from "../lib/memo";

export type Order = "size" | "contribution" | "activation" | "index";

/** This view's own: no trait holds it. */
export interface GridChoice {
  readonly quantity: Quantity;
  readonly order: Order;
  /** One colour scale for all channels, or for each its own. */
  readonly shared: boolean;
  readonly head: number | undefined;
}

const QUANTITIES: readonly { value: Quantity; label: string }[] = [
  { value: "activation", label: "Activation" },
  { value: "contribution", label: "Attribution" },
];
const ORDERS: readonly { value: Order; label: string }[] = [
  { value: "size", label: "Contribution, largest first" },
  { value: "contribution", label: "Contribution, for to against" },
  { value: "activation", label: "Activation" },
  { value: "index", label: "Index" },
];
const SCALES = [
  { value: "shared", label: "One for all" },
  { value: "own", label: "Each its own" },
] as const;
const ALL_HEADS = "all";

/** The channels in an order; those without a number (NaN) come last. */
export function sorted(of: Channels, order: Order, head?: number): number[] {
  const all = Array.from({ length: of.count }, (_, i) => i);
  const items = head === undefined ? all : all.filter((channel) => headOf(of, channel) === head);
  if (order === "index") return items;
  const { totals } = of[order === "activation" ? "activation" : "contribution"];
  const key = (channel: number): number => {
    const value = totals[channel]!;
    if (Number.isNaN(value)) return -Infinity;
    return order === "size" ? Math.abs(value) : value;
  };
  return items.sort((a, b) => key(b) - key(a) || a - b);
}

/** Those that contribute most, for or against; of a model without gradients those that are most active. */
export const topChannels: (of: Channels) => readonly number[] = memo((of) => {
  const { totals } = of[of.hasContributions ? "contribution" : "activation"];
  const key = (channel: number): number => (Number.isNaN(totals[channel]) ? -1 : Math.abs(totals[channel]!));
  return Array.from({ length: of.count }, (_, i) => i).sort((a, b) => key(b) - key(a) || a - b);
});

export class GridControls {
  readonly elements: readonly HTMLElement[];
  choice: GridChoice = { quantity: "activation", order: "size", shared: true, head: undefined };
  readonly #quantity: Select;
  readonly #order: Select;
  readonly #scale: Select;
  readonly #head: Select;
  readonly #changed: (reordered: boolean) => void;

  /** `changed` is told when something was chosen, and whether other channels come first now. */
  constructor(signal: AbortSignal, changed: (reordered: boolean) => void) {
    this.#changed = changed;
    this.#quantity = select("Show", signal, (value) => this.#choose({ quantity: value as Quantity }));
    this.#order = select("Order", signal, (value) => this.#choose({ order: value as Order }, true));
    this.#scale = select("Scale", signal, (value) => this.#choose({ shared: value === "shared" }));
    this.#head = select("Head", signal, (value) => {
      this.#choose({ head: value === ALL_HEADS ? undefined : Number(value) }, true);
    });
    this.elements = [this.#quantity, this.#order, this.#scale, this.#head].map(({ element }) => element);
  }

  /** Takes back what these channels do not have, and offers what they do. */
  show(channels: Channels): void {
    const { heads, hasContributions } = channels;
    this.#fit(channels);
    const { quantity, order, shared, head } = this.choice;
    const offered = <T extends { value: string }>(all: readonly T[]): readonly T[] =>
      hasContributions ? all : all.filter(({ value }) => value === "activation" || value === "index");
    this.#quantity.show(offered(QUANTITIES), quantity);
    this.#order.show(offered(ORDERS), order);
    this.#scale.show(SCALES, shared ? "shared" : "own");
    this.#head.element.hidden = !heads;
    this.#head.show(
      [
        { value: ALL_HEADS, label: `All ${heads}` },
        ...Array.from({ length: heads }, (_, i) => ({ value: String(i), label: `Head ${i}` })),
      ],
      head === undefined ? ALL_HEADS : String(head),
    );
  }

  /** Shows the channels of all heads again. */
  leaveHead(): void {
    this.choice = { ...this.choice, head: undefined };
  }

  #fit({ heads, hasContributions }: Channels): void {
    const { head, order } = this.choice;
    if (head !== undefined && head >= heads) this.leaveHead();
    if (hasContributions) return;
    this.choice = {
      ...this.choice,
      quantity: "activation",
      order: order === "index" ? "index" : "activation",
    };
  }

  #choose(choice: Partial<GridChoice>, reordered = false): void {
    this.choice = { ...this.choice, ...choice };
    this.#changed(reordered);
  }
}

/** A field for the number of a channel to go to. */
export const searchField = (): HTMLInputElement =>
  h("input", {
    class: "as-search",
    type: "search",
    inputmode: "numeric",
    placeholder: "Go to number",
    "aria-label": "Channel",
    autocomplete: "off",
  });
