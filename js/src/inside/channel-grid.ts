/**
 * The channels of a layer as a list in two dimensions: thumbnails, strips or squares, each with its number. Only those
 * near the view are in the document.
 */
import { type Channels, type Quantity, valuesOf } from "../data/channels";
import { amountNumber, amountText, headOf, placeAt, valueName } from "../data/neurons";
import { paintValues } from "../data/painting";
import { clamp, h, setAttribute, setText } from "../lib/dom";
import { VirtualList } from "../lib/virtual-list";
import { Thumbnails, type ThumbnailSource } from "./thumbnails";

export type Look = "tiles" | "strips" | "squares";

/** Pixels that an item asks for, with the gap; 0: the whole width. The style sheet sees to what is inside. */
const ROOM: Readonly<Record<Look, { width: number; height: number }>> = {
  tiles: { width: 72, height: 104 },
  strips: { width: 0, height: 26 },
  squares: { width: 26, height: 26 },
};
/** A page of rows while the box has no height. */
const PAGE = 4;

function lookOf({ layout, w, h: height }: Channels): Look {
  if (w * height === 1) return "squares";
  return layout === "tokens" || layout === "sequence" || height === 1 ? "strips" : "tiles";
}

export interface GridContent {
  readonly channels: Channels;
  /** The channels in the order in which they are shown. */
  readonly items: readonly number[];
  /** What the colours show. */
  readonly quantity: Quantity;
  /** What the number of each channel is. */
  readonly numbers: Quantity;
  readonly table: Uint32Array;
  /** Where the colour scale of a channel ends. */
  readonly limit: (channel: number) => number;
  readonly picked: number | undefined;
  readonly off: ReadonlyMap<number, "all" | "part">;
}

export interface GridHands {
  /** A channel is picked, or a place in the strip of one that is picked already. */
  pick(channel: number, place?: readonly number[]): void;
  toggle(channel: number): void;
  /** Somebody looks at a channel, and perhaps at a place in it; or at none any more. */
  look(words: string | undefined): void;
}

export class ChannelGrid {
  readonly box = h("div", { class: "as-units", role: "listbox", "aria-label": "Channels" });
  readonly #list: VirtualList;
  readonly #thumbnails = new Thumbnails();
  #source: ThumbnailSource | undefined;
  #content: GridContent | undefined;
  /** Whose channels were shown last. */
  #layer: string | null | undefined;
  #look: Look = "tiles";
  /** What is written on each element, piece by piece. */
  readonly #texts = new WeakMap<HTMLElement, readonly HTMLElement[]>();
  #active: number | undefined;
  // Of the box, and where in an element its thumbnail goes.
  #width = 0;
  #height = 0;
  #slot = { x: 0, y: 0, w: 0, h: 0 };
  #page = PAGE;
  #rowHeight = 0;
  #measured = "";
  readonly #hands: GridHands;

  constructor(signal: AbortSignal, hands: GridHands) {
    this.#hands = hands;
    const { box } = this;
    box.append(this.#thumbnails.canvas);
    this.#list = new VirtualList({
      box,
      signal,
      rowHeight: ROOM.tiles.height,
      make: () => this.#make(),
      update: (element, channel, index) => this.#update(element, channel, index),
      scrolled: () => this.#drawThumbnails(),
      resized: (width, height) => {
        this.#width = width;
        this.#height = height;
        this.#page = Math.max(1, Math.floor(height / ROOM[this.#look].height)) || PAGE;
        this.#layOut();
        this.#measure();
        this.#drawThumbnails();
      },
    });
    box.addEventListener("click", (event) => this.#clicked(event), { signal });
    box.addEventListener("keydown", (event) => this.#pressed(event), { signal });
    box.addEventListener("pointermove", (event) => this.#pointed(event), { signal });
    box.addEventListener("pointerleave", () => hands.look(undefined), { signal });
    box.addEventListener("focusout", () => hands.look(undefined), { signal });
    box.addEventListener(
      "focusin",
      (event) => {
        const channel = this.#list.itemOf(event.target);
        if (channel === undefined) return;
        this.#active = channel;
        this.#list.keep(channel);
        hands.look(this.#words(channel));
      },
      { signal },
    );
  }

  show(content: GridContent | undefined): void {
    const before = this.#content;
    const layer = content ? content.channels.request.layer : this.#layer;
    const sameLayer = layer === this.#layer;
    this.#content = content;
    this.#layer = layer;
    const look = content ? lookOf(content.channels) : this.#look;
    if (look !== this.#look) {
      this.#list.show([]); // elements of another look are of no use
      this.#look = look;
    }
    setAttribute(this.box, "data-look", look);
    setAttribute(this.box, "aria-label", plural(content?.channels.noun ?? "channel"));
    const items = content?.items ?? [];
    this.#layOut();
    this.#source = content && look !== "squares" ? thumbnailsOf(content) : undefined;
    if (before?.items === items) this.#list.refresh();
    else this.#showItems(items, sameLayer);
    this.#measure();
    this.#drawThumbnails();
  }

  #showItems(items: readonly number[], sameLayer: boolean): void {
    const keeps = sameLayer && this.#active !== undefined && items.includes(this.#active);
    if (!keeps) {
      const picked = this.#content?.picked;
      this.#active = picked !== undefined && items.includes(picked) ? picked : items[0];
    }
    this.#list.show(items, this.#active);
    if (!keeps) this.reveal(this.#active);
  }

  /** Scrolls to a channel, which is the one that Tab reaches from now on. False when it is not shown. */
  reveal(channel: number | undefined): boolean {
    if (channel === undefined || this.#list.indexOf(channel) < 0) return false;
    this.#active = channel;
    this.#list.keep(channel);
    this.#list.reveal(channel);
    return true;
  }

  focus(channel = this.#active): void {
    if (channel === undefined) return;
    this.#active = channel;
    this.#list.focus(channel);
  }

  /** The element that Tab reaches. */
  get refuge(): HTMLElement | undefined {
    return this.#active === undefined ? undefined : this.#list.elementOf(this.#active);
  }

  /** Whether the keys are in somebody's hand here. */
  get held(): boolean {
    return this.box.contains((this.box.getRootNode() as Document | ShadowRoot).activeElement);
  }

  #layOut(): void {
    const { width, height } = ROOM[this.#look];
    const perRow = width ? Math.max(1, Math.floor(this.#width / width)) : 1;
    if (perRow === this.#list.itemsPerRow && height === this.#rowHeight) return;
    this.#rowHeight = height;
    this.#list.layOut(perRow, height);
  }

  /** Where the thumbnails go, as the style sheet has it: asked for once per look and width. */
  #measure(): void {
    const key = `${this.#look} ${this.#width} ${this.#list.itemsPerRow}`;
    const room = this.refuge?.querySelector<HTMLElement>(".as-channel");
    if (key === this.#measured || !room) return;
    const { offsetLeft, offsetTop, offsetWidth, offsetHeight } = room;
    this.#slot = { x: offsetLeft, y: offsetTop, w: offsetWidth, h: offsetHeight };
    if (offsetWidth) this.#measured = key;
  }

  #drawThumbnails(): void {
    const width = this.#width;
    const height = this.#height;
    const slot = this.#slot;
    this.#thumbnails.draw(this.#source, {
      perRow: this.#list.itemsPerRow,
      rowHeight: this.#rowHeight,
      top: this.#list.scrollTop,
      width,
      height,
      slot,
    });
  }

  #make(): HTMLElement {
    const element = h("div", { class: "as-unit", role: "option", "aria-keyshortcuts": "x" });
    if (this.#look === "squares") return element;
    // The name is the text, of which the words that go without saying for the eye stand there at no size.
    const [what, index, before, number, after] = ["as-sizeless", "", "as-sizeless", "", "as-sizeless"].map(
      (name) => h("span", { class: name || undefined }),
    ) as [HTMLElement, HTMLElement, HTMLElement, HTMLElement, HTMLElement];
    element.append(
      h("span", { class: "as-unit-index" }, what, index),
      h("span", { class: "as-channel" }),
      h("span", { class: "as-number" }, before, number, after),
    );
    this.#texts.set(element, [what, index, before, number, after]);
    return element;
  }

  #update(element: HTMLElement, channel: number, index: number): void {
    const content = this.#content;
    if (!content) return;
    const { items, off } = content;
    element.dataset.channel = String(channel);
    setAttribute(element, "aria-selected", String(channel === content.picked));
    setAttribute(element, "aria-setsize", String(items.length));
    setAttribute(element, "aria-posinset", String(index + 1));
    setAttribute(element, "tabindex", channel === this.#active ? "0" : "-1");
    setAttribute(element, "data-off", off.get(channel));
    setAttribute(element, "data-nan", isNan(content, channel) ? "1" : undefined);
    const pieces = this.#pieces(channel);
    const words = pieces.join("");
    if (element.title !== words) element.title = words;
    this.#texts.get(element)?.forEach((span, i) => setText(span, pieces[i]!));
    if (this.#look !== "squares") return;
    setAttribute(element, "aria-label", words);
    element.style.backgroundColor = colourOf(content, channel);
  }

  /** A channel in words: what it is and which, how much, and what else; the second and the fourth are seen. */
  #pieces(channel: number): readonly string[] {
    const content = this.#content;
    if (!content) return [];
    const { channels, numbers } = content;
    const head = headOf(channels, channel);
    const off = content.off.get(channel);
    const other = numbers === "activation" ? "contribution" : "activation";
    return [
      `${channels.noun} `,
      String(channel),
      `${head === undefined ? "" : `, head ${head}`}, ${numbers} `,
      amountNumber(channels[numbers].totals[channel]!, numbers),
      [
        ...(channels.hasContributions ? [amountText(channels, channel, other)] : []),
        ...(off ? [`${off === "all" ? "" : "partly "}switched off`] : []),
      ]
        .map((words) => `, ${words}`)
        .join(""),
    ];
  }

  /** The same as one text, and what is at a place of its strip. */
  #words(channel: number, place?: readonly number[]): string {
    const content = this.#content;
    const words = this.#pieces(channel).join("");
    if (!place || !content) return words;
    const { channels, quantity } = content;
    return `${words} · ${valueName(channels, channel, quantity, place)}`;
  }

  /** The place that a pointer is over, in a strip. */
  #placeUnder(event: MouseEvent): readonly number[] | undefined {
    const content = this.#content;
    const strip = event.target instanceof Element ? event.target.closest(".as-channel") : null;
    if (this.#look !== "strips" || !content || !strip) return undefined;
    const { left, width } = strip.getBoundingClientRect();
    const { columns } = content.channels;
    if (!width) return undefined;
    const x = clamp(Math.floor(((event.clientX - left) / width) * columns), 0, columns - 1);
    return placeAt(content.channels, { x, y: 0 });
  }

  #pointed(event: PointerEvent): void {
    const channel = this.#list.itemOf(event.target);
    this.#hands.look(channel === undefined ? undefined : this.#words(channel, this.#placeUnder(event)));
  }

  #clicked(event: MouseEvent): void {
    const channel = this.#list.itemOf(event.target);
    if (channel === undefined) return;
    const place = channel === this.#content?.picked ? this.#placeUnder(event) : undefined;
    this.focus(channel);
    this.#hands.pick(channel, place);
  }

  #pressed(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    const { items = [] } = this.#content ?? {};
    const held = this.#list.itemOf(event.target);
    if (held === undefined) return;
    if (event.key === "Enter" || event.key === " ") this.#hands.pick(held);
    else if (event.key === "x") this.#hands.toggle(held);
    else {
      const to = indexAfter(
        event.key,
        this.#list.indexOf(held),
        items.length,
        this.#list.itemsPerRow,
        this.#page,
      );
      if (to === undefined) return;
      this.focus(items[to]);
    }
    event.preventDefault();
  }
}

/** Which index a key leads to among items in rows; undefined for keys that lead nowhere. */
export function indexAfter(
  key: string,
  from: number,
  count: number,
  perRow: number,
  rows: number,
): number | undefined {
  const step = {
    ArrowRight: 1,
    ArrowLeft: -1,
    ArrowDown: perRow,
    ArrowUp: -perRow,
    PageDown: perRow * rows,
    PageUp: -perRow * rows,
    Home: -count,
    End: count,
  }[key];
  if (step === undefined) return undefined;
  const to = clamp(from + step, 0, count - 1);
  // From the last row down, and from the first up, there is nowhere to go.
  const stays =
    key.startsWith("Arrow") && Math.abs(step) > 1 && Math.floor(to / perRow) === Math.floor(from / perRow);
  return stays ? from : to;
}

const isNan = ({ channels, quantity }: GridContent, channel: number): boolean =>
  Number.isNaN(channels[quantity].scales[channel]);

function paintChannel(content: GridContent, channel: number, out: Uint32Array): void {
  const { channels, quantity, limit, table } = content;
  const size = channels.w * channels.h;
  const values = valuesOf(channels[quantity]).subarray(channel * size, (channel + 1) * size);
  // Without a scale all values are zero, which has a colour too.
  paintValues(values, limit(channel) || 1, table, out);
}

function thumbnailsOf(content: GridContent): ThumbnailSource {
  const { channels, items, off } = content;
  return {
    items,
    w: channels.w,
    h: channels.h,
    ratio: lookOf(channels) === "tiles" ? channels.columns / channels.rows : undefined,
    has: (channel) => !isNan(content, channel),
    paint: (channel, out) => paintChannel(content, channel, out),
    opacity: (channel) => ({ all: 0.3, part: 0.65, none: 1 })[off.get(channel) ?? "none"],
  };
}

const one = new Uint32Array(1);

/** The colour of a single number for the style sheet; none for NaN. */
function colourOf(content: GridContent, channel: number): string {
  if (isNan(content, channel)) return "";
  paintChannel(content, channel, one);
  const pixel = one[0]!;
  return `rgb(${pixel & 255} ${(pixel >>> 8) & 255} ${(pixel >>> 16) & 255})`;
}

export const plural = (noun: string): string => `${noun.charAt(0).toUpperCase()}${noun.slice(1)}s`;
