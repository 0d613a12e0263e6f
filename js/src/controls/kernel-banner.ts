/** The banner that says what goes on, and what does not, without a kernel. */
import { h, setAttribute, setText } from "../lib/dom";
import { button } from "../lib/form-controls";
import type { KernelState } from "../state/liveness";
import { State } from "../state/state";

const WORDS: Readonly<Record<KernelState, string>> = {
  live: "",
  silent:
    "The kernel does not answer. It may be busy with a cell; what you asked for appears when it answers.",
  gone:
    "The kernel is gone: nothing new can be computed until the cell is run again. " +
    "Colours, modes, zoom, the walk, the layers' maps and copying go on.",
  static:
    "Saved without its kernel: nothing new can be computed here. Colours, modes, zoom, the walk, the layers' maps and copying work.",
};

/** The banner about the kernel, above everything else. */
export function kernelBanner(state: State, el: HTMLElement): void {
  const words = h("span");
  const hide = button("as-link", "Hide", state.signal, () => (element.hidden = true));
  const element = h("div", { class: "as-banner as-kernel", hidden: true }, words, hide);
  el.append(element);
  state.follow(["kernel"], () => {
    const { kernel } = state;
    setText(words, WORDS[kernel]);
    setAttribute(element, "role", kernel === "static" ? "note" : "alert");
    setAttribute(element, "data-kernel", kernel);
    hide.hidden = kernel !== "static";
    element.hidden = kernel === "live";
  });
}
