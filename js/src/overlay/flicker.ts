/** Two maps in turn on one stage: what differs between them moves. It can be held, and stepped by hand. */
import { h, setAttribute, setText } from "../lib/dom";
import { button } from "../lib/form-controls";

/** How long each is on show: well below three flashes a second. */
export const TURN_MS = 700;

const wantsRest = (): boolean => matchMedia("(prefers-reduced-motion: reduce)").matches;

export class Flicker {
  /** "Hold" or "Go on", and "Switch". Hidden while nothing flickers. */
  readonly node: HTMLElement;
  /** Which of the two is on show. */
  index: 0 | 1 = 0;
  readonly #hold: HTMLButtonElement;
  readonly #turned: () => void;
  #timer: ReturnType<typeof setInterval> | undefined;
  #on = false;

  /** `turned` runs when the other one is on show. */
  constructor(signal: AbortSignal, turned: () => void) {
    this.#turned = turned;
    this.#hold = button("as-link", "Hold", signal, () =>
      this.#timer === undefined ? this.#run() : this.#stop(),
    );
    const turn = button("as-link", "Switch", signal, () => {
      this.#stop();
      this.#turn();
    });
    turn.title = "Show the other one of the two, and hold it";
    this.node = h("span", { class: "as-flicker", hidden: true }, this.#hold, turn);
    signal.addEventListener("abort", () => clearInterval(this.#timer));
  }

  /** Begins, or ends. Whoever wants less motion switches by hand. */
  show(on: boolean): void {
    if (on === this.#on) return;
    this.#on = on;
    this.node.hidden = !on;
    this.index = 0;
    const rests = wantsRest();
    this.#hold.hidden = rests;
    if (on && !rests) this.#run();
    else this.#stop();
  }

  #run(): void {
    this.#timer = setInterval(() => this.#turn(), TURN_MS);
    this.#tell();
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#tell();
  }

  #turn(): void {
    this.index = this.index === 0 ? 1 : 0;
    this.#turned();
  }

  #tell(): void {
    const runs = this.#timer !== undefined;
    setText(this.#hold, runs ? "Hold" : "Go on");
    setAttribute(this.node, "data-running", runs ? "1" : undefined);
  }
}
