/**
 * Whether anybody answers: what the page knows about the kernel behind it.
 *
 * "live": as far as one can tell. "silent": a wish was not answered in time; it may be busy, it may be lost.
 * "gone": the host said so, and nothing sent will arrive. "static": the page was saved without a kernel.
 */
export type KernelState = "live" | "silent" | "gone" | "static";

/** How long a wish may stay unanswered: a kernel that is at work may be in the middle of one slow batch. */
export const PATIENCE_MS = 5_000;
export const PATIENCE_AT_WORK_MS = 20_000;

/** Whether it is worth asking. */
export const isReachable = (kernel: KernelState): boolean => kernel === "live" || kernel === "silent";

export class Liveness {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #now: KernelState;
  readonly #changed: () => void;

  constructor(start: KernelState, signal: AbortSignal, changed: () => void) {
    this.#changed = changed;
    this.#now = start;
    signal.addEventListener("abort", () => clearTimeout(this.#timer));
  }

  get state(): KernelState {
    return this.#now;
  }

  /** Whether it is worth asking. */
  get reachable(): boolean {
    return isReachable(this.#now);
  }

  /** Something was asked. `pending` says, when patience is over, whether it still waits for its answer. */
  asked(atWork: boolean, pending: () => boolean): void {
    if (!this.reachable || this.#timer !== undefined) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        if (pending()) this.#become("silent");
      },
      atWork ? PATIENCE_AT_WORK_MS : PATIENCE_MS,
    );
  }

  /** The kernel said something, whatever it was. */
  heard(): void {
    this.#forget();
    if (this.#now === "silent") this.#become("live");
  }

  lost(): void {
    if (this.#now === "static") return;
    this.#forget();
    this.#become("gone");
  }

  #forget(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #become(state: KernelState): void {
    if (this.#now === state) return;
    this.#now = state;
    this.#changed();
  }
}
