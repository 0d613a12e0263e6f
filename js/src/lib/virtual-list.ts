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

export interface VirtualListParts {
  /** What scrolls. It has the role (tree, listbox, grid); the list fills it. */
  readonly box: HTMLElement;
  /** In pixels, with the gap below. */
  readonly rowHeight: number;
  readonly signal: AbortSignal;
  /** Makes the element of an item that came near the view. */
  make(item: number): HTMLElement;
  /** Brings an element up to date: when it was made, when the items were shown anew, and on `refresh`. */
  update(element: HTMLElement, item: number, place: number): void;
  /** Another part is in view. */
  scrolled?(): void;
  /** The box has another size: a grid may want another number of items per row (by `layOut`). */
  resized?(width: number, height: number): void;
}

export class VirtualList {
  /** As high as all rows together; the elements lie in it. */
  private readonly inner = h("div", { class: "as-virtual", role: "none" });
  private items: readonly number[] = [];
  private places: Map<number, number> | undefined;
  private elements = new Map<number, HTMLElement>();
  private kept: number | undefined;
  private perRow = 1;
  private rowHeight: number;
  // Of the box, as it last told: asking it while something is drawn would have the page laid out at once.
  private height = 0;
  private top = 0;
  /** What was to be inside before the box had a height. */
  private awaited: number | undefined;

  constructor(private readonly parts: VirtualListParts) {
    const { box, signal } = parts;
    this.rowHeight = parts.rowHeight;
    box.append(this.inner);
    box.addEventListener("scroll", () => this.scrolled(), { signal, passive: true });
    const sizes = new ResizeObserver(([entry]) => {
      if (!entry) return;
      const { width, height } = entry.contentRect;
      this.height = height;
      parts.resized?.(width, height);
      this.scrolled();
      if (this.awaited !== undefined && height > 0) this.reveal(this.awaited);
    });
    sizes.observe(box);
    signal.addEventListener("abort", () => sizes.disconnect());
    this.layOut(1, parts.rowHeight);
  }

  /** Shows these items in this order; elements of items that were there already stay the same. */
  show(items: readonly number[], kept: number | undefined = this.kept): void {
    this.items = items;
    this.places = undefined;
    this.kept = kept;
    this.stretch();
    this.render(true);
  }

  /** Brings the elements that are in the document up to date: of these items, or all. */
  refresh(items?: readonly number[]): void {
    if (!items) this.render(true);
    else for (const item of items) this.bringUpToDate(item);
  }

  /** How many items stand in a row, and how high rows are. */
  layOut(perRow: number, rowHeight = this.rowHeight): void {
    this.perRow = Math.max(1, Math.floor(perRow));
    this.rowHeight = rowHeight;
    setVariable(this.parts.box, "--as-row-height", `${rowHeight}px`);
    setVariable(this.inner, "--as-per-row", this.perRow);
    this.stretch();
    this.render(true);
  }

  get itemsPerRow(): number {
    return this.perRow;
  }

  /** Where an item stands; -1 when it is not shown. */
  placeOf(item: number): number {
    this.places ??= new Map(this.items.map((one, place) => [one, place]));
    return this.places.get(item) ?? -1;
  }

  /** The element of an item, if it is in the document. */
  elementOf(item: number): HTMLElement | undefined {
    return this.elements.get(item);
  }

  /** The item whose element holds a node, such as the target of an event. */
  itemOf(node: EventTarget | null): number | undefined {
    for (const [item, element] of this.elements) {
      if (node instanceof Node && element.contains(node)) return item;
    }
    return undefined;
  }

  /** Keeps an item in the document, in place of the one before. */
  keep(item: number): void {
    const before = this.kept;
    if (before === item) return;
    this.kept = item;
    this.render(false);
    for (const one of [before, item]) if (one !== undefined) this.bringUpToDate(one);
  }

  /** Scrolls the box, and only the box, until the item is inside. */
  reveal(item: number): void {
    const place = this.placeOf(item);
    if (place < 0) return;
    this.awaited = this.height > 0 ? undefined : item;
    const top = Math.floor(place / this.perRow) * this.rowHeight;
    const bottom = top + this.rowHeight - (this.height || UNKNOWN_HEIGHT);
    const to = top < this.top ? top : Math.max(bottom, this.top);
    if (to === this.top) return;
    this.top = to;
    this.render(false);
    // When all else of this frame is done: scrolling has the page laid out at once.
    queueMicrotask(() => (this.parts.box.scrollTop = this.top));
  }

  /** Keeps the item, scrolls to it and gives it the focus. */
  focus(item: number): void {
    this.keep(item);
    this.reveal(item);
    this.elements.get(item)?.focus({ preventScroll: true });
  }

  /** How far the box is scrolled; asking the box itself may have the page laid out. */
  get scrollTop(): number {
    return this.top;
  }

  private scrolled(): void {
    this.top = this.parts.box.scrollTop;
    this.render(false);
    this.parts.scrolled?.();
  }

  private stretch(): void {
    // On the box, which may want to be no higher than what is in it.
    setVariable(this.parts.box, "--as-rows", Math.ceil(this.items.length / this.perRow));
  }

  /** Puts what is near the view into the document; with `all`, what is there already is brought up to date too. */
  private render(all: boolean): void {
    const { box } = this.parts;
    const { items, inner, rowHeight, perRow } = this;
    const rows = Math.ceil(items.length / perRow);
    const height = this.height || UNKNOWN_HEIGHT;
    this.top = Math.min(this.top, Math.max(0, rows * rowHeight - height)); // as the box will, when there is less
    const top = Math.floor(this.top / rowHeight);
    const seen = Math.ceil(height / rowHeight) + 1;
    const room = Math.max(ROOM_ROWS, Math.ceil(ROOM / rowHeight));
    const first = Math.max(0, top - room) * perRow;
    const last = Math.min(items.length, (top + seen + room) * perRow);
    const places: number[] = [];
    for (let place = first; place < last; place++) places.push(place);
    const kept = this.kept === undefined ? -1 : this.placeOf(this.kept);
    if (kept >= 0 && kept < first) places.unshift(kept);
    else if (kept >= last) places.push(kept);

    // Elements move only when the order changes: one that moves loses the focus.
    const active = focusNear(box);
    const held = active && active !== box && inner.contains(active) ? active : undefined;
    const wanted = new Map<number, HTMLElement>();
    const fresh = new Set<number>();
    for (const place of places) {
      const item = items[place]!;
      let element = this.elements.get(item);
      if (!element) {
        element = this.parts.make(item);
        fresh.add(place);
      }
      wanted.set(item, element);
    }
    for (const [item, element] of this.elements) if (wanted.get(item) !== element) element.remove();
    this.elements = wanted;
    let next = inner.firstChild;
    for (const place of places) {
      const item = items[place]!;
      const element = wanted.get(item)!;
      if (element === next) next = next.nextSibling;
      else inner.insertBefore(element, next);
      if (!all && !fresh.has(place)) continue;
      setVariable(element, "--as-at", Math.floor(place / perRow));
      setVariable(element, "--as-column", place % perRow);
      this.parts.update(element, item, place);
    }
    if (held && focusNear(box) !== held) {
      (this.kept === undefined ? undefined : wanted.get(this.kept))?.focus({ preventScroll: true });
    }
  }

  private bringUpToDate(item: number): void {
    const element = this.elements.get(item);
    if (element) this.parts.update(element, item, this.placeOf(item));
  }
}
