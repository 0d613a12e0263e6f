/** What is switched off when there is no kernel behind the page, and why. */
import type { KernelState } from "../state/liveness";
import type { State } from "../state/state";

/** Why a control does nothing; undefined while there is a kernel to ask. */
export function whyOff(kernel: KernelState): string | undefined {
  if (kernel === "gone") return "The kernel is gone: run the cell again";
  if (kernel === "static") return "This page was saved without its kernel";
  return undefined;
}

type Control = HTMLButtonElement | HTMLSelectElement | HTMLInputElement | HTMLFieldSetElement;

/** Switches controls off, and says why, while there is no kernel. */
export function needKernel(state: State, ...controls: readonly Control[]): void {
  const titles = controls.map(({ title }) => title);
  state.follow({
    show(view) {
      const why = whyOff(view.kernel);
      controls.forEach((control, i) => {
        control.disabled = why !== undefined;
        control.title = why ?? titles[i]!;
      });
    },
  });
}
