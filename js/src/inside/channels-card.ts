/**
 * The channels of the picked layer, each with what it sees and what it contributes; picking one explains it. Where there
 * are patches those that contribute most come first, and all of them on demand.
 */
import { whyOff } from "../controls/needs-kernel";
import { Refusal } from "../controls/refusal";
import type { Channels, Quantity } from "../data/channels";
import { channelOf, headOf, neuronKey, offChannels } from "../data/neurons";
import { card } from "../lib/card";
import { type Disclosure, disclosure } from "../lib/disclosure";
import { h, setAttribute, setClipped, setText } from "../lib/dom";
import { number, shape } from "../lib/format";
import { memo } from "../lib/memo";
import { CHANNEL_TABLES, limits, signOf } from "../selection/channel-colours";
import { channelsAreStale, currentChannels, currentPatches, pickableChannels } from "../selection/channels";
import { isComputing, markOf } from "../selection/freshness";
import { pickNeuron, toggleOff } from "../selection/neuron";
import type { Ablated } from "../state/messages.generated";
import type { State } from "../state/state";
import type { View } from "../state/view";
import { ChannelGrid, type GridContent, plural } from "./channel-grid";
import { type GridChoice, GridControls, searchField, sorted, topChannels } from "./grid-controls";
import { TopChannels } from "./top-channels";

/** How large one channel is. */
function extentText({ layout, rows, columns }: Channels): string {
  if (rows * columns === 1) return "";
  return layout === "tokens" || layout === "sequence"
    ? ` at ${columns} positions`
    : ` of ${shape([rows, columns])}`;
}

const countText = memo(
  (channels: Channels): string =>
    `${channels.count.toLocaleString("en-US")} ${plural(channels.noun).toLowerCase()}${extentText(channels)}`,
);

/** What the number of each channel is: what they are ordered by, or else what the colours show. */
const numbersOf = ({ order, quantity }: GridChoice): Quantity =>
  order === "activation" ? order : order === "index" ? quantity : "contribution";

/** What numbers and colours mean. */
function legendText({ numbers, limit }: GridContent, signed: boolean, shared: boolean): string {
  const what =
    numbers === "contribution"
      ? "Numbers: contribution (gradient × activation)"
      : "Numbers: activation, on average";
  return (
    what + (shared ? ` · colours ${signed ? "±" : "0 to "}${number(limit(0))}` : " · each its own scale")
  );
}

/** Why there are no channels of the picked layer. */
function whyNone(view: View): string {
  if (isComputing(view)) return "Computing what is inside";
  // What came last is of one layer: a saved page has that one's channels alone.
  const known = view.get("channels").request?.layer === view.get("layer");
  return view.kernel === "static" && !known ? "Channels are not saved" : "Nothing to pick from here";
}

const NOTHING_OFF: readonly Ablated[] = [];

export class ChannelsCard {
  readonly node: HTMLElement;
  readonly #frame = card("as-channels", "Channels");
  readonly #hint = h("span", { class: "as-hint" });
  readonly #controls: GridControls;
  readonly #search = searchField();
  readonly #row: HTMLElement;
  readonly #missing = h("div", { class: "as-nothing", "aria-live": "polite", hidden: true });
  readonly #notice = h("div", { class: "as-warning", dir: "auto", hidden: true });
  readonly #grid: ChannelGrid;
  readonly #nothing = h("div", { class: "as-nothing", hidden: true });
  readonly #readout = h("div", { class: "as-readout", "aria-hidden": "true" }); // the options say the same
  readonly #refusal: Refusal;
  /** Where the kernel knows of patches. */
  readonly #top: TopChannels | undefined;
  readonly #all: Disclosure | undefined;
  #legend = "";
  #toTop = false;
  #picked: number | undefined;
  /** What the grid was drawn from. */
  #drawn: readonly unknown[] = [];
  #known: { of: Channels; choice: GridChoice; items: readonly number[] } | undefined;
  readonly #state: State;

  /** `changed` is told when the grid is looked at in another way. */
  constructor(state: State, changed?: () => void) {
    this.#state = state;
    const search = this.#search;
    const { signal } = state;
    this.node = this.#frame.element;
    this.#controls = new GridControls(signal, (reordered) => {
      this.#toTop ||= reordered;
      state.redraw(this);
      changed?.();
    });
    this.#row = h("div", { class: "as-unit-controls" }, ...this.#controls.elements, search);
    const toggle = (channel: number): void => {
      if (pickableChannels(state.view)) toggleOff(state, channel);
    };
    this.#grid = new ChannelGrid(signal, {
      pick: (channel, place) => this.#pick(channel, place),
      toggle,
      look: (words) => setText(this.#readout, words ?? this.#legend),
    });
    this.#refusal = new Refusal(state.view, "neuron", [this.#grid.box]);
    if (state.view.has("patches")) {
      this.#top = new TopChannels(signal, { pick: (channel) => this.#pick(channel), toggle });
      this.#all = disclosure("All channels", "as-all-channels", signal);
    }
    this.#build();
    search.addEventListener("input", () => this.#find(), { signal });
    search.addEventListener("keydown", (event) => this.#searched(event), { signal });
    state.follow(this);
  }

  #build(): void {
    const { head, element } = this.#frame;
    const all = this.#all;
    const grid = [this.#row, this.#missing, this.#grid.box, this.#readout];
    head.append(this.#hint);
    if (all) {
      head.append(all.button);
      all.panel.append(...grid);
    }
    element.append(
      this.#notice,
      ...(this.#top ? [this.#top.list] : []),
      ...(all ? [all.panel] : grid),
      this.#nothing,
      this.#refusal.node,
    );
  }

  /** Where the focus can go: the channel that Tab reaches. */
  get refuge(): HTMLElement | undefined {
    return this.#all?.open === false ? this.#top?.refuge : this.#grid.refuge;
  }

  /** What the colours of the grid show. */
  get quantity(): Quantity {
    return this.#controls.choice.quantity;
  }

  show(view: View): void {
    this.#refusal.show(view);
    const channels = currentChannels(view);
    this.#showFrame(view, channels);
    if (!channels) {
      if (this.#drawn.length) this.#grid.show(undefined);
      this.#drawn = [];
      this.#top?.show(undefined);
      return;
    }
    this.#controls.show(channels);
    const present = pickableChannels(view) !== undefined;
    const picked = present ? channelOf(view.get("neuron")) : undefined;
    const ablated = present ? view.get("ablated") : NOTHING_OFF;
    this.#drawGrid(view, channels, picked, ablated);
    this.#drawTop(view, channels, picked, ablated);
    this.#reveal(picked);
  }

  #showFrame(view: View, channels: Channels | undefined): void {
    const frame = this.#frame;
    const grid = this.#grid;
    const nothing = this.#nothing;
    const notice = this.#notice;
    const stale = channels !== undefined && channelsAreStale(view, channels);
    const layer = channels?.request.layer ?? view.get("layer");
    setClipped(frame.title, layer === null ? "Channels" : `Inside ${layer || "the model"}`);
    frame.mark(channels && markOf(view, stale), stale);
    this.#row.hidden = grid.box.hidden = this.#readout.hidden = channels === undefined;
    const words = view.get("channels").notice ?? "";
    setText(notice, words);
    notice.hidden = words === "";
    nothing.hidden = channels !== undefined;
    setText(this.#hint, channels ? countText(channels) : "");
    if (this.#all) {
      this.#all.button.hidden = channels === undefined;
      setText(this.#all.button, `All ${plural(channels?.noun ?? "channel").toLowerCase()}`);
    }
    if (channels) {
      const why = whyOff(view.kernel);
      setAttribute(grid.box, "aria-disabled", why ? "true" : undefined);
      grid.box.title = why ?? "";
    } else {
      setText(nothing, whyNone(view));
    }
  }

  /** While one scrubs past other layers nothing of it changes, and drawing it takes longer than a frame. */
  #drawGrid(view: View, channels: Channels, picked: number | undefined, ablated: readonly Ablated[]): void {
    const grid = this.#grid;
    const { choice } = this.#controls;
    const { quantity, shared } = choice;
    const sign = signOf(channels, quantity);
    const outliers = view.get("outlier_percent");
    const content: GridContent = {
      channels,
      items: this.#itemsOf(channels),
      quantity,
      numbers: numbersOf(choice),
      limit: limits(channels[quantity], sign, shared, outliers),
      table: CHANNEL_TABLES[sign](view),
      picked,
      off: offChannels(ablated, channels.request.layer ?? view.get("layer")),
    };
    this.#legend = legendText(content, sign === "all", shared);
    if (!grid.held && !grid.box.matches(":hover")) setText(this.#readout, this.#legend);
    const { items, numbers, table } = content;
    const looks = [
      channels,
      items,
      quantity,
      numbers,
      shared,
      outliers,
      table,
      picked,
      JSON.stringify(ablated),
    ];
    if (looks.every((look, i) => look === this.#drawn[i])) return;
    this.#drawn = looks;
    grid.show(content);
  }

  #drawTop(view: View, channels: Channels, picked: number | undefined, ablated: readonly Ablated[]): void {
    const quantity = "activation";
    const sign = signOf(channels, quantity);
    const layer = channels.request.layer;
    this.#top?.show(
      {
        items: topChannels(channels),
        colours: {
          channels,
          quantity,
          limit: limits(channels[quantity], sign, true, view.get("outlier_percent")),
          table: CHANNEL_TABLES[sign](view),
        },
        patches: layer === view.get("layer") ? currentPatches(view) : undefined,
        picked,
        off: offChannels(ablated, layer ?? view.get("layer")),
      },
      whyOff(view.kernel),
    );
  }

  #reveal(picked: number | undefined): void {
    const grid = this.#grid;
    if (this.#toTop) grid.reveal(this.#known?.items[0]);
    else if (picked !== this.#picked && !grid.held) grid.reveal(picked); // picked elsewhere: from Python, say
    this.#toTop = false;
    this.#picked = picked;
  }

  /** The channels in their order; the same list for as long as the order is. */
  #itemsOf(channels: Channels): readonly number[] {
    const { choice } = this.#controls;
    const known = this.#known;
    if (known?.of === channels && known.choice.order === choice.order && known.choice.head === choice.head) {
      return known.items;
    }
    const items = sorted(channels, choice.order, choice.head);
    this.#known = { of: channels, choice, items };
    return items;
  }

  #pick(channel: number, place?: readonly number[]): void {
    const state = this.#state;
    if (!pickableChannels(state.view)) return;
    this.#refusal.clear();
    const now = state.view.get("neuron");
    if (place) pickNeuron(state, [channel, ...place]);
    else pickNeuron(state, neuronKey(now) === neuronKey(channel) ? null : channel);
  }

  #find(): number | undefined {
    const missing = this.#missing;
    const text = this.#search.value.trim();
    const channels = currentChannels(this.#state.view);
    const channel = /^\d+$/.test(text) ? Number(text) : NaN;
    const there = channels !== undefined && channel < channels.count;
    missing.hidden = there || text === "";
    const words = `No ${channels?.noun} “${text}”: they go from 0 to ${(channels?.count ?? 0) - 1}`;
    setText(missing, missing.hidden || !channels ? "" : words);
    if (!there) return undefined;
    const { head } = this.#controls.choice;
    if (head !== undefined && headOf(channels, channel) !== head) {
      this.#controls.leaveHead();
      this.show(this.#state.view);
    }
    this.#grid.reveal(channel);
    return channel;
  }

  #searched(event: KeyboardEvent): void {
    if (event.key !== "ArrowDown" && event.key !== "Enter") return;
    event.preventDefault();
    const channel = this.#find();
    if (channel !== undefined || this.#search.value.trim() === "") this.#grid.focus(channel);
  }
}
