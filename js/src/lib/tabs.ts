/** Panels of which one is on show, and the tabs that choose it. */
import { freshId } from "./disclosure";
import { h, setAttribute } from "./dom";

export interface Tab<N extends string> {
  readonly name: N;
  readonly label: string;
  readonly title: string;
  readonly panel: HTMLElement;
}

export class Tabs<N extends string> {
  readonly element: HTMLElement;
  readonly #tabs: readonly { readonly name: N; readonly button: HTMLElement; readonly panel: HTMLElement }[];
  readonly #picked: (name: N) => void;

  constructor(label: string, tabs: readonly Tab<N>[], signal: AbortSignal, picked: (name: N) => void) {
    this.#picked = picked;
    this.#tabs = tabs.map(({ name, label: words, title, panel }) => {
      panel.id ||= freshId();
      const button = h(
        "button",
        { class: "as-tab", type: "button", role: "tab", id: freshId(), title, "aria-controls": panel.id },
        words,
      );
      setAttribute(panel, "role", "tabpanel");
      setAttribute(panel, "aria-labelledby", button.id);
      return { name, button, panel };
    });
    const list = h(
      "div",
      { class: "as-tab-list", role: "tablist", "aria-label": label },
      ...this.#tabs.map(({ button }) => button),
    );
    this.element = h("div", { class: "as-tabs" }, list, ...this.#tabs.map(({ panel }) => panel));
    list.addEventListener("click", (event) => this.#clicked(event), { signal });
    list.addEventListener("keydown", (event) => this.#pressed(event), { signal });
  }

  show(name: N): void {
    for (const tab of this.#tabs) {
      const chosen = tab.name === name;
      setAttribute(tab.button, "aria-selected", String(chosen));
      setAttribute(tab.button, "tabindex", chosen ? "0" : "-1");
      tab.panel.hidden = !chosen;
    }
  }

  #clicked(event: MouseEvent): void {
    const tab = this.#tabs.find(({ button }) => button.contains(event.target as Node));
    if (tab) this.#picked(tab.name);
  }

  #pressed(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const count = this.#tabs.length;
    const now = this.#tabs.findIndex(({ button }) => button === event.target);
    const to = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: count - 1 }[event.key];
    if (to === undefined || now < 0) return;
    event.preventDefault();
    const tab = this.#tabs[(to + count) % count]!;
    tab.button.focus();
    this.#picked(tab.name);
  }
}
