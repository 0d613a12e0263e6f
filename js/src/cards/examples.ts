/** The examples of the inputs as a strip of small pictures, or of names; picking one shows it everywhere. */
import { needKernel, whyOff } from "../controls/needs-kernel";
import { Refusal } from "../controls/refusal";
import { picture } from "../data/messages";
import { context, pictureCanvas, type RgbImage } from "../lib/canvas";
import { clamp, clipped, focusNear, h, setAttribute, setClipped, setText } from "../lib/dom";
import { sameValue } from "../lib/equality";
import { type Select, select } from "../lib/form-controls";
import { countText, type Order, orderOf, ordersOf, predictionText } from "../selection/examples";
import type { State } from "../state/state";
import type { ExampleInfo, ExamplePrediction } from "../state/messages.generated";
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

function thumbnail(image: RgbImage): HTMLCanvasElement {
  const canvas = h("canvas", { class: "as-example-picture", width: image.w, height: image.h });
  context(canvas)?.drawImage(pictureCanvas(image), 0, 0);
  canvas.setAttribute("aria-hidden", "true");
  return canvas;
}

/** An example in the strip: what it looks like, what the model says of it, and whether that is wrong. */
class Item {
  readonly node: HTMLElement;
  readonly #name = clipped("as-example-name");
  readonly #wrong = h("span", { class: "as-example-wrong", hidden: true });
  readonly #label: string;
  /** Without a picture it is its name that says which one it is. */
  readonly #isNamed: boolean;

  constructor({ label, picture: raw }: ExampleInfo, index: number) {
    this.#label = label || String(index);
    const image = picture(raw)?.image;
    const words = h("span", { class: "as-example-words" }, this.#name, this.#wrong);
    this.node = h(
      "div",
      { class: "as-example", role: "option" },
      ...(image ? [thumbnail(image)] : []),
      words,
    );
    this.#isNamed = image === undefined;
  }

  show(known: ExamplePrediction | undefined): void {
    const prediction = known ? predictionText(known) : "";
    const whole = prediction === "" ? this.#label : `${this.#label}: ${prediction}`;
    setClipped(this.#name, this.#isNamed || prediction === "" ? whole : prediction, whole);
    const wrong = known?.wrong === true;
    this.#wrong.hidden = !wrong;
    setClipped(this.#wrong, wrong ? `is ${known.truth ?? ""}` : "");
    setAttribute(this.node, "data-wrong", wrong ? "1" : undefined);
  }
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
  #items: readonly Item[] = [];
  /** The indices of the examples in the order of the strip. */
  #order: readonly number[] = [];
  #sorted: Order = "given";
  readonly #count = h("span", { class: "as-example-count" });
  readonly #sort: Select;
  readonly #follow = h("input", { class: "as-check", type: "checkbox" });
  readonly #following: HTMLElement;
  #focus = 0;
  readonly #state: State;

  constructor(state: State) {
    this.#state = state;
    const list = this.#list;
    const { signal } = state;
    this.#refusal = new Refusal(state.view, "example", [list]);
    this.#sort = select("Order of examples", signal, (value) => {
      this.#sorted = value as Order;
      state.redraw(this);
    });
    this.#following = h(
      "label",
      { class: "as-box as-example-follow" },
      this.#follow,
      "explain what is predicted",
    );
    this.#follow.addEventListener("change", () => state.set("explain_predicted", this.#follow.checked), {
      signal,
    });
    needKernel(state, this.#follow);
    this.node = h(
      "div",
      { class: "as-batch", hidden: true },
      h("div", { class: "as-example-head" }, this.#count, this.#sort.element),
      list,
      this.#following,
      this.#refusal.node,
    );
    list.addEventListener("click", (event) => this.#clicked(event), { signal });
    list.addEventListener("keydown", (event) => this.#pressed(event), { signal });
    state.follow(this);
  }

  show(view: View): void {
    this.#refusal.show(view);
    const list = this.#list;
    this.#build(view.get("examples"));
    this.#arrange(view);
    const items = this.#items;
    const present = clamp(view.get("example"), 0, Math.max(0, items.length - 1));
    this.#focus = this.#order.indexOf(present);
    const why = whyOff(view.kernel);
    const known = view.get("example_predictions");
    setAttribute(list, "aria-disabled", why ? "true" : undefined);
    list.title = why ?? "";
    items.forEach((item, i) => {
      item.show(known[i]);
      setAttribute(item.node, "aria-selected", String(i === present));
      setAttribute(item.node, "aria-disabled", why && i !== present ? "true" : undefined);
      setAttribute(item.node, "tabindex", i === present ? "0" : "-1");
    });
    this.#following.hidden = !view.has("explain_predicted") || view.get("classes").count === 1;
    this.#follow.checked = view.get("explain_predicted");
    bringIntoView(list, items[present]?.node);
  }

  #build(source: readonly ExampleInfo[]): void {
    if (source === this.#source) return;
    this.#source = source;
    this.#items = source.map((one, i) => new Item(one, i));
    this.#order = [];
    this.node.hidden = this.#items.length < 2;
  }

  /** Puts the examples into the chosen order, where that has changed. */
  #arrange(view: View): void {
    const orders = ordersOf(view);
    const sorted = orders.some(({ value }) => value === this.#sorted) ? this.#sorted : "given";
    setText(this.#count, countText(view));
    this.#sort.show(orders, sorted);
    this.#sort.element.hidden = orders.length < 2;
    const order = orderOf(view, sorted);
    if (sameValue(order, this.#order)) return;
    this.#order = order;
    const held = this.#items.find(({ node }) => node === focusNear(node))?.node;
    this.#list.replaceChildren(...order.map((i) => this.#items[i]!.node));
    held?.focus({ preventScroll: true });
  }

  /** `place` counts in the strip. */
  #pick(place: number): void {
    const index = this.#order[place];
    if (index === undefined) return;
    this.#refusal.clear();
    this.#state.choose("example", index);
    this.#items[index]?.node.focus();
  }

  #placeOf(target: EventTarget | null): number {
    return this.#order.findIndex((i) => this.#items[i]!.node.contains(target as Node));
  }

  #clicked(event: MouseEvent): void {
    const place = this.#placeOf(event.target);
    if (place >= 0) this.#pick(place);
  }

  #pressed(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    const held = this.#placeOf(event.target);
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
