/** The error banner: what went wrong, in the kernel's own words, and a way to try again. */
import { h, setText } from "../lib/dom";
import { button } from "../lib/form-controls";
import type { State } from "../state/state";
import { needKernel } from "./needs-kernel";

export function banner(state: State, el: HTMLElement): void {
  const message = h("div", { class: "as-message", tabindex: 0, dir: "auto" });
  const again = button("as-button", "Try again", state.signal, () => state.send({ type: "recompute" }));
  const element = h("div", { class: "as-banner", role: "alert", hidden: true }, message, again);
  el.append(element);
  needKernel(state, again);
  state.follow(["status", "message"], () => {
    const failed = state.get("status") === "error";
    element.hidden = !failed;
    setText(message, failed ? (state.get("message") ?? "") || "The computation failed." : "");
  });
}
