/** What a view says and switches off when there is no kernel behind it. */
import { button, h, setAttribute, setText } from "./dom";
import type { KernelState } from "./contact";
import type { State } from "./state";

/** Why a control does nothing; undefined while there is a kernel to ask. */
export function whyOff(kernel: KernelState): string | undefined {
  if (kernel === "gone") return "The kernel is gone: run the cell again";
  if (kernel === "static") return "This page was saved without its kernel";
  return undefined;
}

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

type Control = HTMLButtonElement | HTMLSelectElement | HTMLInputElement | HTMLFieldSetElement;

/** Switches controls off, and says why, while there is no kernel. */
export function needKernel(state: State, ...controls: readonly Control[]): void {
  const titles = controls.map(({ title }) => title);
  state.follow(["kernel"], () => {
    const why = whyOff(state.kernel);
    controls.forEach((control, i) => {
      control.disabled = why !== undefined;
      control.title = why ?? titles[i]!;
    });
  });
}
