/**
 * The widget model with types: gives a view of it, draws what follows it, and writes what a person chooses.
 *
 * Four ways to write: `set` for what only restyles, `drag` for what goes through many values in a row, `choose` for what
 * the kernel has to answer, `scrub` for what the page can answer itself. Where to look next: `view.ts`.
 */
import type { Binary } from "../lib/binary";
import { Follower, type Memory } from "../lib/derived";
import { sameValue } from "../lib/equality";
import { attempt, createSchedule, paced, type Schedule } from "../lib/schedule";
import { isCut, whenCut } from "./jupyter";
import { Liveness } from "./liveness";
import type { ExportMessage, Message } from "./messages.generated";
import type { Listener, Model } from "./model";
import { ANSWERS, KERNEL_WRITTEN, type Traits } from "./traits.generated";
import { type TraitName, View } from "./view";

/** How long a scrub must rest before the kernel hears of it. */
export const SCRUB_REST_MS = 400;

/**
 * How often the kernel hears of what is dragged. Each message has the notebook around the widget redraw its signs of a
 * busy kernel, which takes longer than a frame of ours.
 */
export const DRAG_MS = 100;

/** What the kernel answers with a map; nobody waits for anything else. */
const AWAITED = ANSWERS.heat;

/** Something that shows a view. */
export interface Shows {
  show(view: View): void;
}

export class State {
  readonly schedule: Schedule;
  readonly #liveness: Liveness;
  readonly #followers = new Map<Shows, Follower<View>>();
  /** The traits that somebody has read. */
  readonly #watched = new Set<TraitName>();
  readonly #memory: Memory = new Map();
  #present: View | undefined;
  #unsaved = false;
  /** The choices that the kernel has answered, or does not owe an answer for. */
  readonly #answered = new Map<TraitName, string>();
  /** Choices whose answer is here already, and that the kernel has not been told yet. */
  readonly #scrubbed = new Set<TraitName>();
  /** What changed and waits to be sent: its value now, and the one that the kernel knows. */
  readonly #held = new Map<TraitName, { now: unknown; known: unknown }>();
  readonly #guarded = new Set<TraitName>();
  #rest: ReturnType<typeof setTimeout> | undefined;
  readonly #saveDragged: () => void;
  #unansweredMessage = false;
  readonly #model: Model;

  constructor(
    model: Model,
    readonly signal: AbortSignal,
  ) {
    this.#model = model;
    this.schedule = createSchedule(signal);
    this.#saveDragged = paced(this.#save, DRAG_MS, signal);
    signal.addEventListener("abort", this.#save);
    const start = this.#read("_live") === false ? "static" : isCut(model) ? "gone" : "live";
    this.#liveness = new Liveness(start, signal, this.#changed);
    this.#settle();
    if (start === "static") return;
    whenCut(model, signal, () => this.#liveness.lost());
    const heard = (): void => {
      this.#unansweredMessage = false;
      this.#settle();
      this.#liveness.heard();
    };
    for (const name of KERNEL_WRITTEN) this.#on(`change:${name}`, heard);
  }

  /** What there is to show now: the same until something changes. */
  get view(): View {
    const read = (name: TraitName): unknown => {
      this.#watch(name);
      return this.#read(name);
    };
    return (this.#present ??= new View(this.#liveness.state, this.#watched, read, this.#memory));
  }

  /** Has something show the present view, and each later one in which something that it has read is another. */
  follow(shows: Shows): void {
    const follower = new Follower<View>((view) => shows.show(view));
    this.#followers.set(shows, follower);
    follower.run(this.view);
  }

  /** Has something that follows show itself in the next frame, whatever has changed about it. */
  redraw(shows: Shows): void {
    this.#followers.get(shows)?.forget();
    this.schedule(this.#draw);
  }

  /** Sets a trait; it is sent to the kernel with all others of this animation frame. */
  set<K extends TraitName>(name: K, value: Traits[K]): void {
    this.#held.delete(name);
    if (this.#change(name, value)) this.schedule(this.#save);
  }

  /** Sets a trait that goes through many values in a row: the kernel hears of a few, and of the last. */
  drag<K extends TraitName>(name: K, value: Traits[K]): void {
    this.#hold(name, value);
    if (this.#change(name, value)) this.schedule(this.#saveDragged);
  }

  /** Sets a choice that the kernel has to answer. Without a kernel nothing is chosen, for nothing would come of it. */
  choose<K extends TraitName>(name: K, value: Traits[K]): void {
    if (!this.#liveness.reachable || !this.#has(name) || sameValue(this.#read(name), value)) return;
    this.#scrubbed.delete(name);
    this.#held.delete(name);
    this.set(name, value);
    this.#wait();
  }

  /**
   * Sets a choice whose answer the page has already: all who follow it are told, and the kernel only when it has
   * rested for a while, or before anything else is sent. Nobody waits for an answer, so it needs no kernel.
   */
  scrub<K extends TraitName>(name: K, value: Traits[K]): void {
    this.#hold(name, value);
    if (!this.#change(name, value)) return;
    this.#scrubbed.add(name);
    clearTimeout(this.#rest);
    this.#rest = setTimeout(this.#save, SCRUB_REST_MS);
  }

  /** Calls back with each message of the kernel, and the binary values that came with it. */
  hear(listener: (content: unknown, buffers: readonly Binary[]) => void): void {
    this.#on("msg:custom", (content, buffers) => {
      this.#unansweredMessage = false;
      this.#liveness.heard();
      listener(content, Array.isArray(buffers) ? (buffers as readonly Binary[]) : []);
    });
  }

  send(message: Message | ExportMessage): void {
    if (!this.#liveness.reachable) return;
    this.#save(); // what was chosen before the button was pressed goes first
    this.#unansweredMessage = true;
    this.#toHost(() => this.#model.send(message));
    this.#wait();
  }

  #read(name: TraitName): unknown {
    return this.#model.get(name);
  }

  #has(name: TraitName): boolean {
    return this.#read(name) !== undefined;
  }

  readonly #changed = (): void => {
    this.#present = undefined;
    this.schedule(this.#draw);
  };

  readonly #draw = (): void => {
    const { view } = this;
    for (const follower of this.#followers.values()) attempt(() => follower.run(view));
  };

  /** Listens to a trait from the first time on that somebody reads it. */
  #watch(name: TraitName): void {
    if (this.#watched.has(name)) return;
    this.#watched.add(name);
    this.#on(`change:${name}`, this.#changed);
  }

  /**
   * Keeps a value that waits to be sent. A Jupyter kernel repeats what it is told, and when the page has gone on by then,
   * ipywidgets would take it back to where it was.
   */
  #hold<K extends TraitName>(name: K, now: Traits[K]): void {
    if (!this.#has(name)) return;
    const known = this.#held.has(name) ? this.#held.get(name)!.known : this.#read(name);
    this.#held.set(name, { now, known });
    if (this.#guarded.has(name)) return;
    this.#guarded.add(name);
    this.#on(`change:${name}`, () => {
      const held = this.#held.get(name);
      const value = this.#read(name);
      if (!held || sameValue(value, held.now)) return;
      if (sameValue(value, held.known)) this.#model.set(name, held.now);
      else this.#held.delete(name); // something else was chosen, elsewhere
    });
  }

  /** Whether there is a change: all who follow it are told. */
  #change<K extends TraitName>(name: K, value: Traits[K]): boolean {
    if (!this.#has(name) || sameValue(this.#read(name), value)) return false;
    this.#model.set(name, value);
    this.#unsaved = true;
    this.#changed(); // the model tells its listeners too, but not on every host
    return true;
  }

  #on(event: string, callback: Listener): void {
    this.#model.on(event, callback);
    this.signal.addEventListener("abort", () => this.#model.off(event, callback));
  }

  #key(name: TraitName): string {
    return JSON.stringify(this.#read(name) ?? null);
  }

  /** The kernel has spoken: it knows all choices but those that it has not been told. */
  #settle(): void {
    for (const name of AWAITED) if (!this.#scrubbed.has(name)) this.#answered.set(name, this.#key(name));
  }

  #wait(): void {
    this.#liveness.asked(
      this.#read("status") === "running",
      () =>
        this.#unansweredMessage ||
        AWAITED.some((name) => !this.#scrubbed.has(name) && this.#key(name) !== this.#answered.get(name)),
    );
  }

  /** Hands something to the host; hosts that have lost their kernel may throw. */
  #toHost(action: () => void): void {
    try {
      action();
    } catch (error) {
      console.warn("attriscope: the host does not take messages for the kernel any more.", error);
      this.#liveness.lost();
    }
  }

  readonly #save = (): void => {
    clearTimeout(this.#rest);
    if (!this.#unsaved) return;
    this.#unsaved = false;
    this.#held.clear();
    for (const name of this.#scrubbed) this.#answered.set(name, this.#key(name));
    this.#scrubbed.clear();
    // To nobody: the host would only complain. The traits are set, which is what this page goes by.
    if (this.#liveness.reachable) this.#toHost(() => this.#model.save_changes());
  };
}
