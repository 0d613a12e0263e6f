/** The channels of the picked layer, each with what it sees and what it contributes; picking one explains it. */
import { whyOff } from "../controls/needs-kernel";
import { Refusal } from "../controls/refusal";
import type { Channels, Quantity } from "../data/channels";
import { channelOf, headOf, neuronKey, offChannels } from "../data/neurons";
import { card } from "../lib/card";
import { h, setAttribute, setClipped, setText } from "../lib/dom";
import { select } from "../lib/form-controls";
import { number, shape } from "../lib/format";
import { limits, signOf, tableReader } from "../selection/channel-colours";
import { ablatedOf, areOfLayer, channelsAreStale, currentChannels } from "../selection/channels";
import { markOf } from "../selection/freshness";
import { pickNeuron, toggleOff } from "../selection/neuron";
import type { State } from "../state/state";
import { ChannelGridBox, plural } from "./channel-grid";

type Order = "size" | "contribution" | "activation" | "index";

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

/** How large one channel is. */
function extentText({ form, rows, columns }: Channels): string {
  if (rows * columns === 1) return "";
  return form === "tokens" || form === "sequence"
    ? ` at ${columns} positions`
    : ` of ${shape([rows, columns])}`;
}

export interface ChannelsCard {
  readonly element: HTMLElement;
  /** Where the focus can go: the channel that Tab reaches. */
  readonly refuge: HTMLElement | undefined;
  /** What the colours of the grid show, and how. */
  readonly quantity: Quantity;
}

export function channelsCard(state: State, changed?: () => void): ChannelsCard {
  const { signal } = state;
  const frame = card("as-channels", "Channels");
  const hint = h("span", { class: "as-hint" });
  frame.head.append(hint);

  // How the grid is looked at is this view's own: no trait holds it.
  let quantity: Quantity = "activation";
  let order: Order = "size";
  let shared = true;
  let head: number | undefined;
  const redraw = (): void => {
    state.schedule(show);
    if (changed) state.schedule(changed);
  };
  const whatShown = select("Show", signal, (value) => {
    quantity = value as Quantity;
    redraw();
  });
  const whichOrder = select("Order", signal, (value) => {
    order = value as Order;
    toTop = true;
    redraw();
  });
  const whichScale = select("Scale", signal, (value) => {
    shared = value === "shared";
    redraw();
  });
  const whichHead = select("Head", signal, (value) => {
    head = value === ALL_HEADS ? undefined : Number(value);
    toTop = true;
    redraw();
  });
  const search = h("input", {
    class: "as-search",
    type: "search",
    inputmode: "numeric",
    placeholder: "Go to number",
    "aria-label": "Channel",
    autocomplete: "off",
  });
  const controls = h(
    "div",
    { class: "as-unit-controls" },
    ...[whatShown, whichOrder, whichScale, whichHead].map(({ element }) => element),
    search,
  );

  const readout = h("div", { class: "as-readout", "aria-hidden": "true" }); // the options say the same
  const grid = new ChannelGridBox(signal, {
    pick(channel, place) {
      if (!pickable()) return;
      refusal.clear();
      const now = state.get("neuron");
      if (place) pickNeuron(state, [channel, ...place]);
      else pickNeuron(state, neuronKey(now) === neuronKey(channel) ? null : channel);
    },
    toggle(channel) {
      if (pickable()) toggleOff(state, channel);
    },
    look(words) {
      setText(readout, words ?? legend);
    },
  });
  const nothing = h("div", { class: "as-nothing", hidden: true });
  const missing = h("div", { class: "as-nothing", "aria-live": "polite", hidden: true });
  const notice = h("div", { class: "as-warning", dir: "auto", hidden: true });
  const refusal = new Refusal(state, "neuron", [grid.box]);
  frame.element.append(controls, missing, notice, grid.box, nothing, readout, refusal.element);

  const readTable = tableReader(state);
  let legend = "";
  let toTop = false;
  let picked: number | undefined;
  /** What the grid was drawn from. */
  let drawn: readonly unknown[] = [];
  let known: { channels: Channels; order: Order; head: number | undefined; items: number[] } | undefined;

  const pickable = (): boolean => {
    const channels = currentChannels(state);
    return channels !== undefined && areOfLayer(state, channels);
  };
  const itemsOf = (channels: Channels): number[] => {
    if (known?.channels !== channels || known.order !== order || known.head !== head) {
      known = { channels, order, head, items: sorted(channels, order, head) };
    }
    return known.items;
  };

  const show = (): void => {
    const channels = currentChannels(state);
    const raw = state.get("channels");
    const present = channels && areOfLayer(state, channels);
    const stale = channels !== undefined && channelsAreStale(state, channels);
    const layer = channels?.request.layer ?? state.get("layer");
    setClipped(
      frame.title,
      layer === undefined || layer === null ? "Channels" : `Inside ${layer || "the model"}`,
    );
    frame.mark(channels && markOf(state, stale), stale);
    controls.hidden = grid.box.hidden = readout.hidden = channels === undefined;
    nothing.hidden = channels !== undefined;
    setText(notice, raw?.notice ?? "");
    notice.hidden = !raw?.notice;
    if (!channels) {
      const working = state.get("status") === "running" && state.reachable;
      setText(nothing, working ? "Computing what is inside" : "Nothing to pick from here");
      setText(hint, "");
      if (drawn.length) grid.show(undefined);
      drawn = [];
      return;
    }
    const { heads, noun, hasContributions } = channels;
    if (head !== undefined && head >= heads) head = undefined;
    if (!hasContributions) {
      quantity = "activation";
      if (order !== "index") order = "activation";
    }
    const offered = <T extends { value: string }>(all: readonly T[]): readonly T[] =>
      hasContributions ? all : all.filter(({ value }) => value === "activation" || value === "index");
    whatShown.show(offered(QUANTITIES), quantity);
    whichOrder.show(offered(ORDERS), order);
    whichScale.show(SCALES, shared ? "shared" : "own");
    whichHead.element.hidden = !heads;
    whichHead.show(
      [
        { value: ALL_HEADS, label: `All ${heads}` },
        ...Array.from({ length: heads }, (_, i) => ({ value: String(i), label: `Head ${i}` })),
      ],
      head === undefined ? ALL_HEADS : String(head),
    );
    setText(
      hint,
      `${channels.count.toLocaleString("en-US")} ${plural(noun).toLowerCase()}${extentText(channels)}`,
    );

    const sign = signOf(channels, quantity);
    const limit = limits(channels[quantity], sign, shared, state.get("outlier_percent") ?? 1);
    const numbers = order === "activation" ? order : order === "index" ? quantity : "contribution";
    const items = itemsOf(channels);
    legend =
      (numbers === "contribution"
        ? "Numbers: contribution (gradient × activation)"
        : "Numbers: activation, on average") +
      (shared ? ` · colours ${sign === "all" ? "±" : "0 to "}${number(limit(0))}` : " · each its own scale");
    if (!grid.held && !grid.box.matches(":hover")) setText(readout, legend);
    const neuron = present ? state.get("neuron") : undefined;
    const now = channelOf(neuron);
    const table = readTable(sign);
    const ablated = present ? ablatedOf(state) : [];
    const outliers = state.get("outlier_percent");
    const looks = [channels, items, quantity, numbers, shared, outliers, table, now, JSON.stringify(ablated)];
    // While one scrubs past other layers nothing of it changes, and drawing it takes longer than a frame.
    if (looks.some((look, i) => look !== drawn[i])) {
      drawn = looks;
      grid.show({
        channels,
        items,
        quantity,
        numbers,
        limit,
        table,
        picked: now,
        off: offChannels(ablated, layer),
      });
    }
    const why = whyOff(state.kernel);
    setAttribute(grid.box, "aria-disabled", why ? "true" : undefined);
    grid.box.title = why ?? "";
    if (toTop) grid.reveal(items[0]);
    else if (now !== picked && !grid.held) grid.reveal(now); // picked elsewhere: from Python, say
    toTop = false;
    picked = now;
  };

  const find = (): number | undefined => {
    const text = search.value.trim();
    const channels = currentChannels(state);
    const channel = /^\d+$/.test(text) ? Number(text) : NaN;
    const there = channels !== undefined && channel < channels.count;
    missing.hidden = there || text === "";
    setText(
      missing,
      missing.hidden || !channels
        ? ""
        : `No ${channels.noun} “${text}”: they go from 0 to ${channels.count - 1}`,
    );
    if (!there) return undefined;
    if (head !== undefined && headOf(channels, channel) !== head) {
      head = undefined;
      show();
    }
    grid.reveal(channel);
    return channel;
  };
  search.addEventListener("input", find, { signal });
  search.addEventListener(
    "keydown",
    (event) => {
      if (event.key !== "ArrowDown" && event.key !== "Enter") return;
      event.preventDefault();
      const channel = find();
      if (channel !== undefined || search.value.trim() === "") grid.focus(channel);
    },
    { signal },
  );

  state.follow(
    [
      "channels",
      "layer",
      "neuron",
      "ablated",
      "target",
      "contrast",
      "example",
      "luts",
      "colormap",
      "outlier_percent",
      "status",
      "kernel",
    ],
    show,
  );
  return {
    element: frame.element,
    get refuge() {
      return grid.refuge;
    },
    get quantity() {
      return quantity;
    },
  };
}

/** The part that stands alone. */
export function channels(state: State, el: HTMLElement): void {
  el.append(channelsCard(state).element);
}
