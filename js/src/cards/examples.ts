/** The examples of the inputs as a strip of small pictures; picking one shows it everywhere. */
import { whyOff } from "../controls/needs-kernel";
import { Refusal } from "../controls/refusal";
import { picture } from "../data/messages";
import { context, pictureCanvas } from "../lib/canvas";
import { clamp, clipped, h, setAttribute, setClipped } from "../lib/dom";
import type { State } from "../state/state";
import type { ExampleInfo } from "../state/messages.generated";
import type { View } from "../state/view";

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

export class Examples {
  readonly node: HTMLElement;
  readonly #list = h("div", {
    class: "as-examples",
    role: "listbox",
    "aria-label": "Examples",
    "aria-orientation": "horizontal",
  });
  readonly #refusal: Refusal;
  #source: readonly ExampleInfo[] = [];
  #items: readonly HTMLElement[] = [];
  #focus = 0;
  readonly #state: State;

  constructor(state: State) {
    this.#state = state;
    const list = this.#list;
    const { signal } = state;
    this.#refusal = new Refusal(state.view, "example", [list]);
    this.node = h("div", { class: "as-batch", hidden: true }, list, this.#refusal.node);
    list.addEventListener("click", (event) => this.#clicked(event), { signal });
    list.addEventListener("keydown", (event) => this.#pressed(event), { signal });
    state.follow(this);
  }

  show(view: View): void {
    this.#refusal.show(view);
    const list = this.#list;
    this.#build(view.get("examples"));
    const items = this.#items;
    const present = clamp(view.get("example"), 0, Math.max(0, items.length - 1));
    this.#focus = present;
    const why = whyOff(view.kernel);
    setAttribute(list, "aria-disabled", why ? "true" : undefined);
    list.title = why ?? "";
    items.forEach((item, i) => {
      setAttribute(item, "aria-selected", String(i === present));
      setAttribute(item, "aria-disabled", why && i !== present ? "true" : undefined);
      setAttribute(item, "tabindex", i === present ? "0" : "-1");
    });
    bringIntoView(list, items[present]);
  }

  #build(source: readonly ExampleInfo[]): void {
    if (source === this.#source) return;
    this.#source = source;
    this.#items = source.map(thumbnail);
    this.#list.replaceChildren(...this.#items);
    this.node.hidden = this.#items.length < 2;
  }

  #pick(i: number): void {
    this.#refusal.clear();
    this.#state.choose("example", i);
    this.#items[i]?.focus();
  }

  #clicked(event: MouseEvent): void {
    const i = this.#items.findIndex((item) => item.contains(event.target as Node));
    if (i >= 0) this.#pick(i);
  }

  #pressed(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    const held = this.#items.findIndex((item) => item === event.target);
    const to = itemAfter(event.key, held < 0 ? this.#focus : held, this.#items.length);
    if (to === undefined && event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    this.#pick(to ?? held);
  }
}

/** Scrolls the strip, and never the notebook around it. */
function bringIntoView(list: HTMLElement, item: HTMLElement | undefined): void {
  if (!item) return;
  const outer = list.getBoundingClientRect();
  const inner = item.getBoundingClientRect();
  if (inner.left < outer.left) list.scrollLeft -= outer.left - inner.left;
  else if (inner.right > outer.right) list.scrollLeft += inner.right - outer.right;
}
