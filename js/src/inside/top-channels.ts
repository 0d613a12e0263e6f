/** The channels that contribute most, each with the patches that excite it most and a switch. */
import { type Channels } from "../data/channels";
import { amountNumber, amountText } from "../data/neurons";
import { type Patches, patchText, type SeenPatch } from "../data/patches";
import { focusNear, h, setAttribute, setText, svg } from "../lib/dom";
import { brief } from "../lib/format";
import { indexAfter } from "./channel-grid";
import { type ChannelColours, PatchPicture } from "./patch-picture";

/** As many as there are patches for. */
export const MOST = 12;
/** Tiles in a row, where the page has not said how many fit. */
const PER_ROW = 6;

export interface TopContent {
  readonly items: readonly number[];
  readonly colours: ChannelColours;
  readonly patches: Patches | undefined;
  readonly picked: number | undefined;
  readonly off: ReadonlyMap<number, "all" | "part">;
}

export interface TopHands {
  pick(channel: number): void;
  toggle(channel: number): void;
}

class Tile {
  readonly element: HTMLElement;
  readonly pick: HTMLButtonElement;
  readonly toggle: HTMLButtonElement;
  readonly #canvas = h("canvas", { "aria-hidden": "true" });
  readonly #index = h("span", { class: "as-top-index" });
  readonly #number = h("span", { class: "as-number" });
  channel = -1;
  #drawn: readonly unknown[] = [];

  constructor() {
    this.pick = h(
      "button",
      { class: "as-top-pick", type: "button", tabindex: -1, "aria-keyshortcuts": "x" },
      this.#canvas,
      h("span", { class: "as-top-words", "aria-hidden": "true" }, this.#index, this.#number),
    );
    this.toggle = h("button", { class: "as-top-switch", type: "button", tabindex: -1 });
    this.toggle.append(
      svg(
        "svg",
        { viewBox: "0 0 12 12", "aria-hidden": "true" },
        svg("path", { d: "M6 1.5v4M3.4 3.2a4 4 0 1 0 5.2 0" }),
      ),
    );
    this.element = h("li", { class: "as-top-unit" }, this.pick, this.toggle);
  }

  show(content: TopContent, channel: number, picture: PatchPicture, why: string | undefined): void {
    const { colours, patches, picked, off } = content;
    const { channels } = colours;
    this.channel = channel;
    this.element.dataset.channel = String(channel);
    setAttribute(this.element, "data-off", off.get(channel));
    const found = patches?.of.get(channel) ?? [];
    const drawn = [
      channel,
      found.length ? found : colours.channels,
      colours.table,
      found.length || colours.limit(channel),
    ];
    if (drawn.some((one, i) => one !== this.#drawn[i])) {
      this.#drawn = drawn;
      picture.draw(this.#canvas, channel, found, colours);
    }
    const numbers = channels.hasContributions ? "contribution" : "activation";
    setText(this.#index, String(channel));
    const total = channels[numbers].totals[channel]!;
    setText(this.#number, channels.hasContributions ? brief(total) : amountNumber(total, numbers));
    setAttribute(this.#number, "data-sign", numbers === "contribution" ? (total < 0 ? "-" : "+") : undefined);
    const words = wordsOf(channels, channel, found, patches?.examples ?? 1);
    const name = `${channels.noun} ${channel}`;
    setAttribute(this.pick, "aria-label", words);
    setAttribute(this.pick, "aria-pressed", String(channel === picked));
    setAttribute(this.pick, "title", why ?? words);
    setAttribute(this.toggle, "aria-label", `Switch off ${name}`);
    setAttribute(this.toggle, "aria-pressed", String(off.get(channel) === "all"));
    setAttribute(
      this.toggle,
      "title",
      why ?? (off.has(channel) ? "Switch on again" : `Switch off ${name}, and see what the model says then`),
    );
    this.toggle.disabled = why !== undefined;
  }
}

/** A channel in words: which, how much, and what excites it most. */
function wordsOf(channels: Channels, channel: number, found: readonly SeenPatch[], examples: number): string {
  const amounts = [
    ...(channels.hasContributions ? [amountText(channels, channel, "contribution")] : []),
    amountText(channels, channel, "activation"),
  ];
  const excited = found.length
    ? `, most excited by ${found.map((patch) => patchText(patch, examples)).join("; ")}`
    : "";
  return `${channels.noun} ${channel}, ${amounts.join(", ")}${excited}`;
}

export class TopChannels {
  readonly list = h("ul", { class: "as-top", role: "list" });
  readonly #picture = new PatchPicture();
  #tiles: readonly Tile[] = [];
  /** The tile that Tab reaches. */
  #active = 0;
  readonly #hands: TopHands;

  constructor(signal: AbortSignal, hands: TopHands) {
    this.#hands = hands;
    this.list.addEventListener("click", (event) => this.#clicked(event), { signal });
    this.list.addEventListener("keydown", (event) => this.#pressed(event), { signal });
    this.list.addEventListener("focusin", (event) => this.#focused(event), { signal });
  }

  /** Where the focus can go. */
  get refuge(): HTMLElement | undefined {
    return this.#tiles[this.#active]?.pick;
  }

  /** `why` says why nothing can be picked. */
  show(content: TopContent | undefined, why?: string): void {
    const items = content?.items.slice(0, MOST) ?? [];
    if (items.length !== this.#tiles.length) {
      const held = this.list.contains(focusNear(this.list));
      this.#tiles = items.map(() => new Tile());
      this.list.replaceChildren(...this.#tiles.map(({ element }) => element));
      this.#active = Math.min(this.#active, Math.max(0, items.length - 1));
      if (held) this.refuge?.focus();
    }
    if (!content) return;
    setAttribute(this.list, "aria-label", `Top ${content.colours.channels.noun}s`);
    items.forEach((channel, i) => this.#tiles[i]!.show(content, channel, this.#picture, why));
    this.#rove();
  }

  #rove(): void {
    this.#tiles.forEach(({ pick }, i) => setAttribute(pick, "tabindex", i === this.#active ? "0" : "-1"));
  }

  #indexOf(target: EventTarget | null): number {
    return this.#tiles.findIndex(({ element }) => target instanceof Node && element.contains(target));
  }

  #focused(event: FocusEvent): void {
    const index = this.#indexOf(event.target);
    if (index < 0) return;
    this.#active = index;
    this.#rove();
  }

  #clicked(event: MouseEvent): void {
    const tile = this.#tiles[this.#indexOf(event.target)];
    if (!tile) return;
    if (tile.toggle.contains(event.target as Node)) this.#hands.toggle(tile.channel);
    else if (tile.pick.contains(event.target as Node)) this.#hands.pick(tile.channel);
  }

  #pressed(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    const index = this.#indexOf(event.target);
    const tile = this.#tiles[index];
    if (!tile) return;
    if (event.key === "x") this.#hands.toggle(tile.channel);
    else {
      const to = indexAfter(event.key, index, this.#tiles.length, this.#perRow(), 2);
      if (to === undefined) return;
      this.#tiles[to]!.pick.focus();
    }
    event.preventDefault();
  }

  /** How many tiles stand beside each other: asked for when a key needs it. */
  #perRow(): number {
    const [first] = this.#tiles;
    const top = first?.element.offsetTop;
    const found = this.#tiles.findIndex(({ element }) => element.offsetTop !== top);
    return found > 0 ? found : first?.element.offsetWidth ? this.#tiles.length : PER_ROW;
  }
}
