/** The frame that every card of the page stands in. */
import { clipped, h, setAttribute, setText } from "./dom";

/** The frame every card stands in: a title, room for a mark beside it, then whatever the card adds. */
export interface Card {
  readonly element: HTMLElement;
  readonly head: HTMLElement;
  readonly title: HTMLElement;
  /** Dims what is shown and says why; undefined takes the mark away. */
  mark(text: string | undefined, stale: boolean): void;
}

export function card(className: string, title: string): Card {
  const titleElement = clipped("as-title", title);
  const tag = h("span", { class: "as-tag", hidden: true });
  const head = h("div", { class: "as-head" }, titleElement, tag);
  const element = h("div", { class: `as-card ${className}` }, head);
  return {
    element,
    head,
    title: titleElement,
    mark(text, stale) {
      tag.hidden = text === undefined;
      setText(tag, text ?? "");
      setAttribute(element, "data-stale", stale ? "1" : undefined);
    },
  };
}
