/** The examples of the inputs as a strip of small pictures; picking one shows it everywhere. */
import { whyOff } from "../controls/needs-kernel";
import { Refusal } from "../controls/refusal";
import { picture } from "../data/messages";
import { context, pictureCanvas } from "../lib/canvas";
import { clamp, clipped, h, setAttribute, setClipped } from "../lib/dom";
import type { State } from "../state/state";
import type { ExampleInfo } from "../state/traits";

/** Which item a key leads to in a list that runs sideways; undefined for keys that lead nowhere. */
export function itemAfter(key: string, present: number, count: number): number | undefined {
  const to = {
    ArrowRight: present + 1,
    ArrowDown: present + 1,
    ArrowLeft: present - 1,
    ArrowUp: present - 1,
    PageDown: present + 10,
    PageUp: present - 10,
    Home: 0,
    End: count - 1,
  }[key];
  return to === undefined ? undefined : clamp(to, 0, count - 1);
}

function thumbnail({ label, picture: raw }: ExampleInfo, index: number): HTMLElement {
  const image = picture(raw);
  const canvas = h("canvas", { class: "as-example-picture", width: image?.w ?? 1, height: image?.h ?? 1 });
  if (image) context(canvas)?.drawImage(pictureCanvas(image), 0, 0);
  const name = clipped("as-example-name");
  setClipped(name, label || String(index));
  canvas.setAttribute("aria-hidden", "true");
  return h("div", { class: "as-example", role: "option" }, canvas, name);
}

export function examples(state: State, el: HTMLElement): void {
  const { signal } = state;
  const list = h("div", {
    class: "as-examples",
    role: "listbox",
    "aria-label": "Examples",
    "aria-orientation": "horizontal",
  });
  const refusal = new Refusal(state, "example", [list]);
  const element = h("div", { class: "as-batch", hidden: true }, list, refusal.element);
  el.append(element);

  let source: readonly ExampleInfo[] = [];
  let items: HTMLElement[] = [];
  let focus = 0;

  const show = (): void => {
    const now = state.get("examples") ?? [];
    if (now !== source) {
      source = now;
      items = now.map(thumbnail);
      list.replaceChildren(...items);
      element.hidden = items.length < 2;
    }
    const present = clamp(state.get("example") ?? 0, 0, Math.max(0, items.length - 1));
    focus = present;
    const why = whyOff(state.kernel);
    setAttribute(list, "aria-disabled", why ? "true" : undefined);
    list.title = why ?? "";
    items.forEach((item, i) => {
      setAttribute(item, "aria-selected", String(i === present));
      setAttribute(item, "aria-disabled", why && i !== present ? "true" : undefined);
      setAttribute(item, "tabindex", i === focus ? "0" : "-1");
    });
    bringIntoView(list, items[present]);
  };
  const pick = (i: number): void => {
    refusal.clear();
    state.choose("example", i);
    items[i]?.focus();
  };
  list.addEventListener(
    "click",
    (event) => {
      const i = items.findIndex((item) => item.contains(event.target as Node));
      if (i >= 0) pick(i);
    },
    { signal },
  );
  list.addEventListener(
    "keydown",
    (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
      const held = items.findIndex((item) => item === event.target);
      const to = itemAfter(event.key, held < 0 ? focus : held, items.length);
      if (to === undefined && event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      pick(to ?? held);
    },
    { signal },
  );
  state.follow(["examples", "example", "kernel"], show);
}

/** Scrolls the strip, and never the notebook around it. */
function bringIntoView(list: HTMLElement, item: HTMLElement | undefined): void {
  if (!item) return;
  const outer = list.getBoundingClientRect();
  const inner = item.getBoundingClientRect();
  if (inner.left < outer.left) list.scrollLeft -= outer.left - inner.left;
  else if (inner.right > outer.right) list.scrollLeft += inner.right - outer.right;
}
