/** The play button: walks to the input, from the baseline when it stands at the input. */
import { clamp, h, setAttribute, svg } from "../lib/dom";
import { presentAlpha } from "../selection/displayed";
import type { State } from "../state/state";

const PLAY = "M3 1.5 10.5 6 3 10.5Z";
const PAUSE = "M2.5 1.5h2.5v9H2.5ZM7 1.5h2.5v9H7Z";
const WALK_MS = 2500;
/** With reduced motion the walk is a few still pictures. */
const STILLS = 5;

/** The position some time after the start of a walk that began at `from`. */
export function walkPosition(from: number, elapsed: number, still: boolean): number {
  const share = clamp(from + elapsed / WALK_MS, 0, 1);
  return still ? Math.max(from, Math.floor(share * STILLS + 1e-9) / STILLS) : share;
}

export class PathPlayer {
  readonly element: HTMLButtonElement;
  #frame = 0;
  readonly #icon = svg("path", { d: PLAY });
  readonly #state: State;

  constructor(state: State) {
    this.#state = state;
    this.element = h(
      "button",
      { class: "as-play", type: "button" },
      svg("svg", { viewBox: "0 0 12 12", "aria-hidden": "true" }, this.#icon),
    );
    this.#show(false);
    this.element.addEventListener("click", () => (this.#frame ? this.stop() : this.#start()), {
      signal: state.signal,
    });
    state.signal.addEventListener("abort", () => this.stop());
  }

  stop(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#show(false);
  }

  #start(): void {
    const now = presentAlpha(this.#state.view);
    const from = now < 1 ? now : 0;
    const still = globalThis.matchMedia("(prefers-reduced-motion: reduce)").matches;
    const begin = performance.now();
    const step = (time: number): void => {
      if (presentAlpha(this.#state.view) >= 1) {
        this.stop(); // someone went to the input in the meantime
        return;
      }
      const alpha = walkPosition(from, Math.max(0, time - begin), still);
      this.#state.drag("alpha", alpha);
      if (alpha < 1) this.#frame = requestAnimationFrame(step);
      else this.stop();
    };
    this.#frame = requestAnimationFrame(step);
    this.#state.set("alpha", from);
    this.#show(true);
  }

  #show(playing: boolean): void {
    const label = playing ? "Pause the walk" : "Play the walk from baseline to input";
    setAttribute(this.element, "aria-label", label);
    this.element.title = label;
    this.#icon.setAttribute("d", playing ? PAUSE : PLAY);
  }
}
