/**
 * A list of which only the items near the view are in the document, so that ten thousand are as quick as ten.
 *
 * Items are numbers that mean something to the owner; each has an element for as long as it is near the view. One item
 * is kept in the document wherever it is: the one that Tab reaches and that may hold the focus.
 */
import { focusNear, h, setVariable } from "./dom";

/** Pixels that are ready on both sides of the view, and rows at the least. */
const ROOM = 200;
const ROOM_ROWS = 2;
/** The height to fill in pixels while the box has none: it is hidden, or not laid out yet. */
const UNKNOWN_HEIGHT = 480;

export interface VirtualListOptions {
  /** What scrolls. It has the role (tree, listbox, grid); the list fills it. */
  readonly box: HTMLElement;
  /** In pixels, with the gap below. */
  readonly rowHeight: number;
  readonly signal: AbortSignal;
  /** Makes the element of an item that came near the view. */
  make(item: number): HTMLElement;
  /** Brings an element up to date: when it was made, when the items were shown anew, and on `refresh`. */
  update(element: HTMLElement, item: number, index: number): void;
  /** Another part is in view. */
  scrolled?(): void;
  /** The box has another size: a grid may want another number of items per row (by `layOut`). */
  resized?(width: number, height: number): void;
}

export class VirtualList {
  /** As high as all rows together; the elements lie in it. */
  readonly #inner = h("div", { class: "as-virtual", role: "none" });
  #items: readonly number[] = [];
  #indices: Map<number, number> | undefined;
  #elements = new Map<number, HTMLElement>();
  #kept: number | undefined;
  #perRow = 1;
  #rowHeight: number;
  // Of the box, as it last told: asking it while something is drawn would have the page laid out at once.
  #height = 0;
  #top = 0;
  /** What was to be inside before the box had a height. */
  #awaited: number | undefined;
  readonly #options: VirtualListOptions;

  constructor(options: VirtualListOptions) {
    this.#options = options;
    const { box, signal } = options;
    this.#rowHeight = options.rowHeight;
    box.append(this.#inner);
    box.addEventListener("scroll", () => this.#scrolled(), { signal, passive: true });
    const sizes = new ResizeObserver(([entry]) => {
      if (!entry) return;
      const { width, height } = entry.contentRect;
      this.#height = height;
      options.resized?.(width, height);
      this.#scrolled();
      if (this.#awaited !== undefined && height > 0) this.reveal(this.#awaited);
    });
    sizes.observe(box);
    signal.addEventListener("abort", () => sizes.disconnect());
    this.layOut(1, options.rowHeight);
  }

  /** Shows these items in this order; elements of items that were there already stay the same. */
  show(items: readonly number[], kept: number | undefined = this.#kept): void {
    this.#items = items;
    this.#indices = undefined;
    this.#kept = kept;
    this.#stretch();
    this.#render(true);
  }

  /** Brings the elements that are in the document up to date: of these items, or all. */
  refresh(items?: readonly number[]): void {
    if (!items) this.#render(true);
    else for (const item of items) this.#bringUpToDate(item);
  }

  /** How many items stand in a row, and how high rows are. */
  layOut(perRow: number, rowHeight = this.#rowHeight): void {
    this.#perRow = Math.max(1, Math.floor(perRow));
    this.#rowHeight = rowHeight;
    setVariable(this.#options.box, "--as-row-height", `${rowHeight}px`);
    setVariable(this.#inner, "--as-per-row", this.#perRow);
    this.#stretch();
    this.#render(true);
  }

  get itemsPerRow(): number {
    return this.#perRow;
  }

  /** Where an item stands; -1 when it is not shown. */
  indexOf(item: number): number {
    this.#indices ??= new Map(this.#items.map((one, index) => [one, index]));
    return this.#indices.get(item) ?? -1;
  }

  /** The element of an item, if it is in the document. */
  elementOf(item: number): HTMLElement | undefined {
    return this.#elements.get(item);
  }

  /** The item whose element holds a node, such as the target of an event. */
  itemOf(node: EventTarget | null): number | undefined {
    for (const [item, element] of this.#elements) {
      if (node instanceof Node && element.contains(node)) return item;
    }
    return undefined;
  }

  /** Keeps an item in the document, in place of the one before. */
  keep(item: number): void {
    const before = this.#kept;
    if (before === item) return;
    this.#kept = item;
    this.#render(false);
    for (const one of [before, item]) if (one !== undefined) this.#bringUpToDate(one);
  }

  /** Scrolls the box, and only the box, until the item is inside. */
  reveal(item: number): void {
    const index = this.indexOf(item);
    if (index < 0) return;
    this.#awaited = this.#height > 0 ? undefined : item;
    const top = Math.floor(index / this.#perRow) * this.#rowHeight;
    const bottom = top + this.#rowHeight - (this.#height || UNKNOWN_HEIGHT);
    const to = top < this.#top ? top : Math.max(bottom, this.#top);
    if (to === this.#top) return;
    this.#top = to;
    this.#render(false);
    // When all else of this frame is done: scrolling has the page laid out at once.
    queueMicrotask(() => (this.#options.box.scrollTop = this.#top));
  }

  /** Keeps the item, scrolls to it and gives it the focus. */
  focus(item: number): void {
    this.keep(item);
    this.reveal(item);
    this.#elements.get(item)?.focus({ preventScroll: true });
  }

  /** How far the box is scrolled; asking the box itself may have the page laid out. */
  get scrollTop(): number {
    return this.#top;
  }

  #scrolled(): void {
    this.#top = this.#options.box.scrollTop;
    this.#render(false);
    this.#options.scrolled?.();
  }

  #stretch(): void {
    // On the box, which may want to be no higher than what is in it.
    setVariable(this.#options.box, "--as-rows", Math.ceil(this.#items.length / this.#perRow));
  }

  /** Puts what is near the view into the document; with `all`, what is there already is brought up to date too. */
  #render(all: boolean): void {
    const { box } = this.#options;
    const items = this.#items;
    const inner = this.#inner;
    const rowHeight = this.#rowHeight;
    const perRow = this.#perRow;
    const rows = Math.ceil(items.length / perRow);
    const height = this.#height || UNKNOWN_HEIGHT;
    this.#top = Math.min(this.#top, Math.max(0, rows * rowHeight - height)); // as the box will, when there is less
    const top = Math.floor(this.#top / rowHeight);
    const seen = Math.ceil(height / rowHeight) + 1;
    const room = Math.max(ROOM_ROWS, Math.ceil(ROOM / rowHeight));
    const first = Math.max(0, top - room) * perRow;
    const last = Math.min(items.length, (top + seen + room) * perRow);
    const indices: number[] = [];
    for (let index = first; index < last; index++) indices.push(index);
    const kept = this.#kept === undefined ? -1 : this.indexOf(this.#kept);
    if (kept >= 0 && kept < first) indices.unshift(kept);
    else if (kept >= last) indices.push(kept);

    // Elements move only when the order changes: one that moves loses the focus.
    const active = focusNear(box);
    const held = active && active !== box && inner.contains(active) ? active : undefined;
    const wanted = new Map<number, HTMLElement>();
    const fresh = new Set<number>();
    for (const index of indices) {
      const item = items[index]!;
      let element = this.#elements.get(item);
      if (!element) {
        element = this.#options.make(item);
        fresh.add(index);
      }
      wanted.set(item, element);
    }
    for (const [item, element] of this.#elements) if (wanted.get(item) !== element) element.remove();
    this.#elements = wanted;
    let next = inner.firstChild;
    for (const index of indices) {
      const item = items[index]!;
      const element = wanted.get(item)!;
      if (element === next) next = next.nextSibling;
      else inner.insertBefore(element, next);
      if (!all && !fresh.has(index)) continue;
      setVariable(element, "--as-at", Math.floor(index / perRow));
      setVariable(element, "--as-column", index % perRow);
      this.#options.update(element, item, index);
    }
    if (held && focusNear(box) !== held) {
      (this.#kept === undefined ? undefined : wanted.get(this.#kept))?.focus({ preventScroll: true });
    }
  }

  #bringUpToDate(item: number): void {
    const element = this.#elements.get(item);
    if (element) this.#options.update(element, item, this.indexOf(item));
  }
}
