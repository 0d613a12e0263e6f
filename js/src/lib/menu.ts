/** A word that is chosen from a list: a button that says what is chosen, and a list with small pictures and a search. */
import { context, pictureCanvas, type RgbImage } from "./canvas";
import { freshId } from "./disclosure";
import { clamp, clipped, focusNear, h, setAttribute, setClipped, setText } from "./dom";
import { Popup } from "./popup";

export interface MenuItem {
  readonly value: string;
  readonly label: string;
  readonly group?: string;
  /** What stands at the end of the line. */
  readonly note?: string;
  readonly title?: string;
  /** A sentence on it, which stands below the list while the keys or a pointer are on its line. */
  readonly about?: string;
}

/** More lines than this are of no use: whoever wants one of the others searches. */
const MOST_LINES = 200;
const PAGE = 8;

export class Menu {
  readonly element: HTMLElement;
  readonly button: HTMLButtonElement;
  /** Below the list: what else there is to say or to set. */
  readonly foot = h("div", { class: "as-menu-foot" });
  /** Gives the small picture of a line when that comes into the list; undefined where there is none. */
  pictureOf: (value: string) => RgbImage | HTMLCanvasElement | undefined = () => undefined;
  readonly #words = clipped("as-menu-words");
  readonly #list: HTMLElement;
  readonly #search: HTMLInputElement | undefined;
  readonly #rest = h("div", { class: "as-menu-rest", hidden: true });
  /** What the line says that somebody is on. The words are in its tooltip, too. */
  readonly #about = h("div", { class: "as-menu-about", dir: "auto", "aria-hidden": "true", hidden: true });
  readonly #popup: Popup;
  readonly #picked: (value: string) => void;
  #items: readonly MenuItem[] = [];
  #value = "";
  /** The items in the list, and which of them the keys are on. */
  #lines: readonly { readonly item: MenuItem; readonly node: HTMLElement }[] = [];
  #active = -1;

  /** With `search` there is a search field of that name over the list. */
  constructor(label: string, signal: AbortSignal, picked: (value: string) => void, search?: string) {
    this.#picked = picked;
    this.button = h(
      "button",
      { class: "as-menu", type: "button", role: "combobox", "aria-haspopup": "listbox", "aria-label": label },
      this.#words,
    );
    this.#list = h("div", {
      class: "as-menu-list",
      role: "listbox",
      id: freshId(),
      tabindex: -1,
      "aria-label": label,
    });
    this.#popup = new Popup(this.button, "as-menu-panel", signal, () => this.#opened());
    if (search !== undefined) this.#search = searchField(search, this.#list.id);
    this.#popup.panel.append(
      ...(this.#search ? [this.#search] : []),
      this.#list,
      this.#rest,
      this.#about,
      this.foot,
    );
    setAttribute(this.button, "aria-controls", this.#list.id);
    this.element = this.#popup.element;
    this.#search?.addEventListener("input", () => this.#fill(undefined), { signal });
    this.button.addEventListener("keydown", (event) => this.#pressedButton(event), { signal });
    for (const element of [this.#list, this.#search]) {
      element?.addEventListener("keydown", (event) => this.#pressed(event), { signal });
    }
    this.#list.addEventListener("click", (event) => this.#clicked(event), { signal });
    this.#list.addEventListener("pointerover", (event) => this.#tell(this.#lineAt(event)), { signal });
    this.#list.addEventListener("pointerleave", () => this.#tell(this.#active), { signal });
  }

  get open(): boolean {
    return this.#popup.open;
  }

  /** What there is to choose from, what is chosen, and how that is said where it is none of them. */
  show(items: readonly MenuItem[], value: string, words?: string): void {
    const same = items === this.#items && value === this.#value;
    this.#items = items;
    this.#value = value;
    const chosen = words ?? items.find((item) => item.value === value)?.label ?? value;
    setClipped(this.#words, chosen);
    setAttribute(this.button, "data-value", value);
    // It may come anew while somebody is on the way through it.
    if (!same && this.open) this.#fill(this.#lines[this.#active]?.item.value);
  }

  #opened(): void {
    if (this.#search) this.#search.value = "";
    this.#fill(undefined);
    this.#enter();
  }

  #enter(): void {
    (this.#search ?? this.#list).focus({ preventScroll: true });
  }

  /** The keys stay on the line of the value `kept` where it is there. */
  #fill(kept: string | undefined): void {
    const wanted = this.#search?.value.trim().toLowerCase() ?? "";
    const found = wanted ? matching(this.#items, wanted) : this.#items;
    const shown = found.slice(0, MOST_LINES);
    this.#lines = shown.map((item) => ({
      item,
      node: lineOf(item, item.value === this.#value, this.pictureOf(item.value)),
    }));
    this.#list.replaceChildren(...inGroups(this.#lines));
    this.#about.hidden = !this.#items.some(({ about }) => about);
    const more = found.length - shown.length;
    this.#rest.hidden = more === 0 && found.length > 0;
    setText(
      this.#rest,
      found.length ? `${more.toLocaleString("en-US")} more: type to find them` : "Nothing found",
    );
    const at = (sought: string | undefined): number => shown.findIndex(({ value }) => value === sought);
    const still = at(kept);
    this.#moveTo(still >= 0 ? still : Math.max(0, wanted ? 0 : at(this.#value)));
  }

  #moveTo(to: number): void {
    this.#active = clamp(to, -1, this.#lines.length - 1);
    this.#lines.forEach(({ node }, i) =>
      setAttribute(node, "data-active", i === this.#active ? "1" : undefined),
    );
    const line = this.#lines[this.#active]?.node;
    for (const element of [this.#list, this.#search]) {
      if (element) setAttribute(element, "aria-activedescendant", line?.id);
    }
    if (line) intoView(this.#list, line);
    this.#tell(this.#active);
  }

  /** Says below the list what a line is about. */
  #tell(index: number): void {
    setText(this.#about, this.#lines[index]?.item.about ?? "");
  }

  #lineAt(event: Event): number {
    return this.#lines.findIndex(({ node }) => node.contains(event.target as Node));
  }

  #pick(index: number): void {
    const line = this.#lines[index];
    if (!line) return;
    this.#popup.close(true);
    if (this.button.disabled) return; // switched off while it was open
    this.button.focus({ preventScroll: true });
    this.#picked(line.item.value);
  }

  #clicked(event: MouseEvent): void {
    const index = this.#lineAt(event);
    if (index >= 0) this.#pick(index);
  }

  #pressedButton(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey) return;
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    event.preventDefault();
    if (this.open) this.#enter();
    else this.#popup.show();
  }

  #pressed(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = focusNear(this.#list) === this.#search;
    const last = this.#lines.length - 1;
    const to = {
      ArrowDown: this.#active + 1,
      ArrowUp: Math.max(0, this.#active - 1),
      PageDown: this.#active + PAGE,
      PageUp: Math.max(0, this.#active - PAGE),
      ...(typing ? {} : { Home: 0, End: last }),
    }[event.key];
    if (to !== undefined) this.#moveTo(to);
    else if ((event.key === "Enter" && !event.shiftKey) || (event.key === " " && !typing))
      this.#pick(this.#active);
    else if (!typing && event.key.length === 1) this.#typeAhead(event.key);
    else return;
    event.preventDefault();
  }

  /** To the next line that begins with a letter. */
  #typeAhead(letter: string): void {
    const wanted = letter.toLowerCase();
    const count = this.#lines.length;
    for (let step = 1; step <= count; step++) {
      const i = (this.#active + step) % count;
      if (this.#lines[i]!.item.label.toLowerCase().startsWith(wanted)) {
        this.#moveTo(i);
        return;
      }
    }
  }
}

/** What holds the words: first what is called so, then what begins so, then all others, each in their order. */
function matching(items: readonly MenuItem[], wanted: string): readonly MenuItem[] {
  const ranks: readonly [MenuItem[], MenuItem[], MenuItem[]] = [[], [], []];
  for (const item of items) {
    const label = item.label.toLowerCase();
    if (label === wanted || item.value.toLowerCase() === wanted) ranks[0].push(item);
    else if (label.startsWith(wanted)) ranks[1].push(item);
    else if (label.includes(wanted)) ranks[2].push(item);
  }
  return ranks.flat();
}

function searchField(label: string, list: string): HTMLInputElement {
  return h("input", {
    class: "as-search",
    type: "search",
    placeholder: label,
    "aria-label": label,
    "aria-controls": list,
    autocomplete: "off",
    spellcheck: "false",
  });
}

function lineOf(
  { value, label, note, title }: MenuItem,
  chosen: boolean,
  picture: RgbImage | HTMLCanvasElement | undefined,
): HTMLElement {
  const words = clipped("as-menu-label");
  setClipped(words, label, title ?? label);
  return h(
    "div",
    {
      class: "as-menu-line",
      role: "option",
      id: freshId(),
      "data-value": value,
      "aria-selected": String(chosen),
    },
    ...thumbnail(picture),
    words,
    ...(note ? [h("span", { class: "as-menu-note" }, note)] : []),
  );
}

function thumbnail(picture: RgbImage | HTMLCanvasElement | undefined): HTMLElement[] {
  if (!picture) return [];
  const source = picture instanceof HTMLCanvasElement ? picture : pictureCanvas(picture);
  const { width, height } = source;
  const canvas = h("canvas", { class: "as-menu-picture", width, height, "aria-hidden": "true" });
  context(canvas)?.drawImage(source, 0, 0);
  return [canvas];
}

/** Lines of one group stand below its name. */
function inGroups(lines: readonly { readonly item: MenuItem; readonly node: HTMLElement }[]): HTMLElement[] {
  const found: HTMLElement[] = [];
  let group: HTMLElement | undefined;
  let name: string | undefined;
  for (const { item, node } of lines) {
    if (item.group === undefined) {
      group = name = undefined;
      found.push(node);
      continue;
    }
    if (!group || item.group !== name) {
      name = item.group;
      const head = h("div", { class: "as-menu-group", id: freshId(), role: "presentation" }, name);
      group = h("div", { role: "group", "aria-labelledby": head.id }, head);
      found.push(group);
    }
    group.append(node);
  }
  return found;
}

/** Scrolls the list, and never the notebook around it. */
function intoView(list: HTMLElement, line: HTMLElement): void {
  const outer = list.getBoundingClientRect();
  const inner = line.getBoundingClientRect();
  if (inner.top < outer.top) list.scrollTop -= outer.top - inner.top;
  else if (inner.bottom > outer.bottom) list.scrollTop += inner.bottom - outer.bottom;
}
