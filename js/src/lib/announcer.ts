/** Says things to people who listen, and not more often than they can bear. */
import { h, setText } from "./dom";

/** Shortest time between two announcements of progress. */
export const QUIET_MS = 5_000;

export class Announcer {
  readonly element = h("div", { class: "as-unseen", role: "status", "aria-live": "polite" });
  #spoken = -Infinity;
  #waiting: string | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(signal: AbortSignal) {
    signal.addEventListener("abort", () => clearTimeout(this.#timer));
  }

  /** `urgent` is said at once; anything else waits its turn, and only the latest of it is said. */
  say(text: string, urgent: boolean): void {
    const rest = urgent ? 0 : this.#spoken + QUIET_MS - Date.now();
    if (rest <= 0) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      this.#waiting = undefined;
      this.#speak(text);
      return;
    }
    this.#waiting = text;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      if (this.#waiting !== undefined) this.#speak(this.#waiting);
    }, rest);
  }

  #speak(text: string): void {
    if (this.element.textContent === text) return;
    this.#spoken = Date.now();
    setText(this.element, text);
  }
}
