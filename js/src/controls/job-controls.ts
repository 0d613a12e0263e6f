/** What is going on in the kernel, and the buttons that start and stop it. */
import { Announcer } from "../lib/announcer";
import { focusNear, h, setAttribute, setText, setVariable } from "../lib/dom";
import { button } from "../lib/form-controls";
import type { State } from "../state/state";
import type { Status } from "../state/messages.generated";
import type { View } from "../state/view";
import { whyOff } from "./needs-kernel";

const READY = "Ready";

interface Job {
  readonly status: Status;
  readonly message: string;
  readonly words: string;
}

/** What goes on as far as one can know: what ran when the kernel went runs no more. */
function jobOf(view: View): Job {
  const { reachable } = view;
  const told = view.get("status");
  const status = told === "running" && !reachable ? "cancelled" : told;
  const message = view.get("message");
  const nobody = view.kernel === "static" ? "Saved page" : "No kernel";
  const words = {
    idle: message || (reachable ? READY : nobody), // a message while idle: the kernel refused a choice
    running: message || "Computing",
    cancelled: reachable ? "Cancelled" : nobody,
    error: "Failed",
  }[status];
  return { status, message, words };
}

export class JobControls {
  readonly node: HTMLElement;
  readonly progress = h("div", {
    class: "as-progress",
    role: "progressbar",
    "aria-label": "Progress",
    "aria-valuemin": 0,
    "aria-valuemax": 100,
  });
  readonly #status = h("div", { class: "as-status", "aria-hidden": "true" });
  readonly #spoken: Announcer;
  readonly #again: HTMLButtonElement;
  readonly #cancel: HTMLButtonElement;
  #before: Status | undefined;
  #spokenIdle = "";

  constructor(state: State) {
    const { signal } = state;
    this.#spoken = new Announcer(signal);
    this.#again = button("as-button", "Recompute", signal, () => state.send({ type: "recompute" }));
    this.#cancel = button("as-button", "Cancel", signal, () => state.send({ type: "cancel" }));
    this.node = h("div", { class: "as-job" }, this.#status, this.#spoken.element, this.#again, this.#cancel);
    state.follow(this);
  }

  show(view: View): void {
    const { progress } = this;
    const again = this.#again;
    const cancel = this.#cancel;
    const job = jobOf(view);
    this.#say(job);
    const why = whyOff(view.kernel);
    const running = job.status === "running";
    const held = [again, cancel].includes(focusNear(this.node) as HTMLButtonElement);
    // The one takes the other's place: there is room for one.
    cancel.hidden = !running;
    again.hidden = running;
    cancel.disabled = !running || why !== undefined;
    cancel.title = why ?? "";
    if (held) (running ? cancel : again).focus();
    again.disabled = why !== undefined;
    again.title = why ?? "Compute the present choice anew, for instance after more training";
    const share = Math.round(Math.min(1, Math.max(0, view.get("progress"))) * 100);
    setAttribute(progress, "aria-valuenow", String(share));
    setVariable(progress, "--as-progress", share / 100);
    progress.hidden = job.status !== "running";
  }

  #say({ status, message, words }: Job): void {
    // That nothing goes on is for those who listen: to be seen it is a word without news, and often has no room.
    setText(this.#status, words === READY ? "" : words);
    setAttribute(this.#status, "title", status === "error" ? undefined : message || undefined);
    const news = status !== this.#before || (status === "idle" && words !== this.#spokenIdle);
    this.#spoken.say(words, news);
    this.#before = status;
    this.#spokenIdle = status === "idle" ? words : "";
  }
}
