/** The banner that says what goes on, and what does not, without a kernel. */
import { h, setAttribute, setText } from "../lib/dom";
import { button } from "../lib/form-controls";
import { stageWords } from "../selection/words";
import type { KernelState } from "../state/liveness";
import type { State } from "../state/state";
import type { View } from "../state/view";

/** FREE stands for what the page does by itself. */
const WORDS: Readonly<Record<KernelState, string>> = {
  live: "",
  silent:
    "The kernel does not answer. It may be busy with a cell; what you asked for appears when it answers.",
  gone:
    "The kernel is gone: nothing new can be computed until the cell is run again. " +
    "FREE, the layers' maps and copying go on.",
  static:
    "Saved without its kernel: nothing new can be computed here. FREE, the layers' maps and copying work.",
};

export class KernelBanner {
  readonly node: HTMLElement;
  readonly #words = h("span");
  readonly #hide: HTMLElement;

  constructor(state: State) {
    this.#hide = button("as-link", "Hide", state.signal, () => (this.node.hidden = true));
    this.node = h("div", { class: "as-banner as-kernel", hidden: true }, this.#words, this.#hide);
    state.follow(this);
  }

  show(view: View): void {
    const { kernel } = view;
    const { node } = this;
    const words = this.#words;
    const hide = this.#hide;
    setText(words, WORDS[kernel].replace("FREE", stageWords(view).free));
    setAttribute(node, "role", kernel === "static" ? "note" : "alert");
    setAttribute(node, "data-kernel", kernel);
    hide.hidden = kernel !== "static";
    node.hidden = kernel === "live";
  }
}
