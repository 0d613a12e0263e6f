/** Copying text: by the clipboard where the page may, else by a box whose text is selected already. */
import { h } from "./dom";

/** True when the clipboard took the text. */
export async function toClipboard(text: string): Promise<boolean> {
  try {
    // Missing without a secure context, and refused in some frames.
    await (navigator.clipboard as Clipboard | undefined)?.writeText(text);
    return (navigator.clipboard as Clipboard | undefined) !== undefined;
  } catch {
    return false;
  }
}

/** A box that shows the text for copying by hand. */
export class CopyBox {
  readonly element: HTMLElement;
  readonly #box: HTMLTextAreaElement;

  constructor(label: string) {
    this.#box = h("textarea", {
      class: "as-code",
      readonly: true,
      rows: 6,
      "aria-label": label,
      spellcheck: "false",
    });
    this.element = h(
      "div",
      { class: "as-copy", hidden: true },
      h("div", { class: "as-note" }, "The clipboard cannot be reached from here. Copy the selected text:"),
      this.#box,
    );
  }

  show(text: string): void {
    this.element.hidden = false;
    this.#box.value = text;
    this.#box.focus();
    this.#box.select();
  }

  hide(): void {
    this.element.hidden = true;
    this.#box.value = "";
  }
}
