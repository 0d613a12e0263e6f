/** The error banner: what went wrong, in the kernel's own words, and a way to try again. */
import { h, setText } from "../lib/dom";
import { button } from "../lib/form-controls";
import type { State } from "../state/state";
import type { View } from "../state/view";
import { needKernel } from "./needs-kernel";

export class ErrorBanner {
  readonly node: HTMLElement;
  readonly #message = h("div", { class: "as-message", tabindex: 0, dir: "auto" });

  constructor(state: State) {
    const again = button("as-button", "Try again", state.signal, () => state.send({ type: "recompute" }));
    this.node = h("div", { class: "as-banner", role: "alert", hidden: true }, this.#message, again);
    needKernel(state, again);
    state.follow(this);
  }

  show(view: View): void {
    const failed = view.get("status") === "error";
    this.node.hidden = !failed;
    setText(this.#message, failed ? view.get("message") || "The computation failed." : "");
  }
}
