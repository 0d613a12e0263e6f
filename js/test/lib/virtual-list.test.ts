/** Long lists: only what is near the view is in the document, and nobody notices. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { VirtualList } from "../../src/lib/virtual-list";

let box: HTMLElement;
let life: AbortController;
let measured: (width: number, height: number) => void;
const made: number[] = [];
const updated: number[] = [];

beforeEach(() => {
  made.length = updated.length = 0;
  life = new AbortController();
  box = document.createElement("div");
  document.body.append(box);
  vi.stubGlobal(
    "ResizeObserver",
    class {
      constructor(told: ResizeObserverCallback) {
        measured = (width, height) =>
          told([{ contentRect: { width, height } } as ResizeObserverEntry], undefined as never);
      }
      observe(): void {
        // tells when the page has been laid out
      }
      disconnect(): void {
        // nothing is observed
      }
    },
  );
});
afterEach(() => {
  life.abort();
  document.body.replaceChildren();
  vi.unstubAllGlobals();
});

function list(count: number, resized?: (width: number) => void, height = 240): VirtualList {
  const all = new VirtualList({
    box,
    rowHeight: 24,
    signal: life.signal,
    make(item) {
      made.push(item);
      const element = document.createElement("button");
      element.dataset.item = String(item);
      return element;
    },
    update(element, item, place) {
      updated.push(item);
      element.dataset.place = String(place);
    },
    resized: (width) => resized?.(width),
  });
  all.show([...Array(count).keys()], 0);
  if (height) measured(200, height);
  return all;
}
const items = (): number[] => [...box.querySelectorAll("button")].map((b) => Number(b.dataset.item));
function scroll(top: number): void {
  box.scrollTop = top;
  box.dispatchEvent(new Event("scroll"));
}

describe("a list of ten thousand", () => {
  it("has few of them in the document, and the height of all", () => {
    list(10_000);
    expect(items().length).toBeLessThan(40);
    expect(items()).toEqual([...items().keys()]);
    const inner = box.firstElementChild as HTMLElement;
    expect(box.style.getPropertyValue("--as-rows")).toBe("10000");
    expect(inner.getAttribute("role")).toBe("none");
  });

  it("has what one scrolls to, in order, and makes nothing twice", () => {
    list(10_000);
    scroll(24 * 5000);
    expect(items()).toContain(5000);
    expect(items()).toContain(5010);
    expect(items()[0]).toBe(0); // the item that Tab reaches
    expect(items()).toEqual([...items()].sort((a, b) => a - b));
    const before = made.length;
    scroll(24 * 5001);
    expect(made.length).toBe(before + 1);
    expect(updated.length).toBe(made.length); // what stands there already is left alone
  });

  it("ends where it ends, however far one scrolls", () => {
    list(10_000);
    scroll(10 ** 9);
    expect(items().at(-1)).toBe(9999);
    expect(items().length).toBeGreaterThan(10);
  });

  it("keeps the focus where it is while its row is scrolled out of sight", () => {
    const all = list(10_000);
    all.focus(3);
    const held = document.activeElement;
    scroll(24 * 9000);
    expect(document.activeElement).toBe(held);
    expect((held as HTMLElement).dataset.item).toBe("3");
    all.focus(9990);
    expect((document.activeElement as HTMLElement).dataset.item).toBe("9990");
    expect(items()).not.toContain(3);
  });

  it.each([
    [[9], 0],
    [[10], 24],
    [[500], 501 * 24 - 240],
    [[500, 100], 2400],
    [[500, 100, 105], 2400],
    [[500, 100, 123_456], 2400],
  ])("to %j scrolls no further than it must", async (all, top) => {
    const one = list(10_000);
    for (const item of all) one.reveal(item);
    await Promise.resolve();
    expect(box.scrollTop).toBe(top);
  });
});

describe("showing other items", () => {
  it("keeps elements and focus, and moves them to their new places", () => {
    const all = list(100);
    all.focus(5);
    const element = all.elementOf(5)!;
    all.show([7, 5, 3]);
    expect(all.elementOf(5)).toBe(element);
    expect(document.activeElement).toBe(element);
    expect(items()).toEqual([7, 5, 3]);
    expect(element.dataset.place).toBe("1");
    expect(all.elementOf(9)).toBeUndefined();
  });

  it("brings all that is in the document up to date, and only that", () => {
    const all = list(10_000);
    updated.length = 0;
    all.refresh();
    expect(updated).toEqual(items());
  });

  it("shows the end of a list that became short", () => {
    const all = list(10_000);
    scroll(24 * 5000);
    all.show([1, 2, 3]);
    expect(items()).toEqual([1, 2, 3]);
  });

  it("knows which item an event came from", () => {
    const all = list(10);
    const inside = document.createElement("span");
    all.elementOf(4)!.append(inside);
    expect(all.itemOf(inside)).toBe(4);
    expect(all.itemOf(box)).toBeUndefined();
  });
});

describe("a grid", () => {
  it("has several items in a row, as many as fit", async () => {
    const all: VirtualList = list(5000, (width) => all.layOut(width / 50, 60), 0);
    measured(200, 240);
    expect(all.itemsPerRow).toBe(4);
    expect(box.style.getPropertyValue("--as-rows")).toBe("1250");
    expect(all.elementOf(7)!.style.getPropertyValue("--as-at")).toBe("1");
    expect(all.elementOf(7)!.style.getPropertyValue("--as-column")).toBe("3");
    all.reveal(4999);
    await Promise.resolve();
    expect(box.scrollTop).toBe(1250 * 60 - 240);
    expect(items()).toContain(4999);
    measured(100, 240);
    expect(all.itemsPerRow).toBe(2);
    expect(items().length).toBeLessThan(100);
  });
});

describe("before the box has a height", () => {
  it("fills what may be seen, and scrolls when the height is known", async () => {
    const all = list(100, undefined, 0);
    expect(items().length).toBeGreaterThan(19);
    all.reveal(15);
    expect(box.scrollTop).toBe(0);
    measured(200, 240);
    await Promise.resolve();
    expect(box.scrollTop).toBe(16 * 24 - 240);
  });
});
