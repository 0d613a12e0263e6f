/** The error banner: what went wrong, in the kernel's own words, where, and a way to try again. */
import { disclosure } from "../lib/disclosure";
import { h, setText } from "../lib/dom";
import { button } from "../lib/form-controls";
import type { State } from "../state/state";
import type { View } from "../state/view";
import { needKernel } from "./needs-kernel";

export class ErrorBanner {
  readonly node: HTMLElement;
  readonly #alert = h("div", { class: "as-alert", role: "alert", hidden: true });
  readonly #message = h("div", { class: "as-message", tabindex: 0, dir: "auto" });

  /** The frames of the user's own code, for those who want to see them. */
  readonly #where: HTMLElement;
  readonly #frames = h("pre", {
    class: "as-frames",
    tabindex: 0,
    dir: "ltr",
    "aria-label": "Lines of your code",
  });

  constructor(state: State) {
    const { button: toggle, panel } = disclosure("Traceback", "as-traceback", state.signal);
    panel.append(this.#frames);
    this.#where = h("div", { class: "as-where", hidden: true }, toggle, panel);
    const again = button("as-button", "Try again", state.signal, () => state.send({ type: "recompute" }));
    this.#alert.append(this.#message);
    this.node = h("div", { class: "as-banner", hidden: true }, this.#alert, again, this.#where);
    needKernel(state, again);
    state.follow(this);
  }

  show(view: View): void {
    const failed = view.get("status") === "error";
    this.node.hidden = this.#alert.hidden = !failed;
    setText(this.#message, failed ? view.get("message") || "The computation failed." : "");
    const frames = failed ? view.get("traceback") : "";
    this.#where.hidden = !frames;
    setText(this.#frames, frames);
  }
}
