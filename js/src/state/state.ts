/** Typed access to the widget model: what the parts read, write and follow. */
import { sameValue } from "../lib/equality";
import { createSchedule, paced, type Schedule } from "../lib/schedule";
import { isCut, whenCut } from "./jupyter";
import { Contact, type KernelState } from "./liveness";
import type { Model } from "./model";
import { CHOICES, type Message, type Traits } from "./traits";

export type TraitName = keyof Traits;
/** What can be followed: the traits, and whether there is a kernel. */
export type Followed = TraitName | "kernel";

/** What only the kernel writes: a change of any of these is a sign of life. */
const TOLD: readonly TraitName[] = [
  "status",
  "progress",
  "message",
  "heat",
  "path",
  "predictions",
  "refused",
  "picture",
  "baseline_picture",
  "effort",
  "weights_changed",
  "code",
  "comparison",
  "flow",
  "depth",
  "channels",
  "neuron_info",
  "what_if",
  "pinned",
];

/** How long a scrub must rest before the kernel hears of it. */
export const SCRUB_REST_MS = 400;

/**
 * How often the kernel hears of what is dragged. Each message has the notebook around the widget redraw its signs of a
 * busy kernel, which takes longer than a frame of ours.
 */
export const DRAG_MS = 100;

export class State {
  readonly schedule: Schedule;
  private readonly followers = new Map<Followed, Set<() => void>>();
  private readonly contact: Contact;
  private unsaved = false;
  /** The choices that the kernel has answered, or does not owe an answer for. */
  private readonly answered = new Map<TraitName, string>();
  /** Choices whose answer is here already, and that the kernel has not been told yet. */
  private readonly scrubbed = new Set<TraitName>();
  /** What changed and waits to be sent: its value now, and the one that the kernel knows. */
  private readonly held = new Map<TraitName, { now: unknown; known: unknown }>();
  private readonly guarded = new Set<TraitName>();
  private rest: ReturnType<typeof setTimeout> | undefined;
  private readonly saveDragged: () => void;
  private unansweredMessage = false;

  constructor(
    private readonly model: Model,
    readonly signal: AbortSignal,
  ) {
    this.schedule = createSchedule(signal);
    this.saveDragged = paced(this.save, DRAG_MS, signal);
    signal.addEventListener("abort", this.save);
    const start = this.get("_live") === false ? "static" : isCut(model) ? "gone" : "live";
    this.contact = new Contact(start, signal, () => this.tell("kernel"));
    this.settle();
    if (start === "static") return;
    whenCut(model, signal, () => this.contact.lost());
    const heard = (): void => {
      this.unansweredMessage = false;
      this.settle();
      this.contact.heard();
    };
    for (const name of TOLD) this.on(`change:${name}`, heard);
  }

  /** The value of a trait; undefined when this model (a part standing alone) does not have it. */
  get<K extends TraitName>(name: K): Traits[K] | undefined {
    return this.model.get(name) as Traits[K] | undefined;
  }

  has(name: TraitName): boolean {
    return this.model.get(name) !== undefined;
  }

  get kernel(): KernelState {
    return this.contact.state;
  }

  /** Whether there may be a kernel that answers. */
  get reachable(): boolean {
    return this.contact.reachable;
  }

  /** Sets a trait; it is sent to the kernel with all others of this animation frame. */
  set<K extends TraitName>(name: K, value: Traits[K]): void {
    this.held.delete(name);
    if (this.change(name, value)) this.schedule(this.save);
  }

  /** Sets a trait that goes through many values in a row: the kernel hears of a few, and of the last. */
  drag<K extends TraitName>(name: K, value: Traits[K]): void {
    this.hold(name, value);
    if (this.change(name, value)) this.schedule(this.saveDragged);
  }

  /**
   * Keeps a value that waits to be sent. A Jupyter kernel repeats what it is told, and when the page has gone on by then,
   * ipywidgets would take it back to where it was.
   */
  private hold<K extends TraitName>(name: K, now: Traits[K]): void {
    if (!this.has(name)) return;
    const known = this.held.has(name) ? this.held.get(name)!.known : this.get(name);
    this.held.set(name, { now, known });
    if (this.guarded.has(name)) return;
    this.guarded.add(name);
    this.on(`change:${name}`, () => {
      const held = this.held.get(name);
      const value = this.get(name);
      if (!held || sameValue(value, held.now)) return;
      if (sameValue(value, held.known)) this.model.set(name, held.now);
      else this.held.delete(name); // something else was chosen, elsewhere
    });
  }

  /** Whether there is a change: all who follow it are told. */
  private change<K extends TraitName>(name: K, value: Traits[K]): boolean {
    if (!this.has(name) || sameValue(this.get(name), value)) return false;
    this.model.set(name, value);
    this.unsaved = true;
    // The model tells its listeners too; a task asked for twice still runs once.
    this.tell(name);
    return true;
  }

  /** Sets a choice that the kernel has to answer. Without a kernel nothing is chosen, for nothing would come of it. */
  choose<K extends TraitName>(name: K, value: Traits[K]): void {
    if (!this.reachable || !this.has(name) || sameValue(this.get(name), value)) return;
    this.scrubbed.delete(name);
    this.held.delete(name);
    this.set(name, value);
    this.wait();
  }

  /**
   * Sets a choice whose answer the page has already: all who follow it are told, and the kernel only when it has
   * rested for a while, or before anything else is sent. Nobody waits for an answer, so it needs no kernel.
   */
  scrub<K extends TraitName>(name: K, value: Traits[K]): void {
    this.hold(name, value);
    if (!this.change(name, value)) return;
    this.scrubbed.add(name);
    clearTimeout(this.rest);
    this.rest = setTimeout(this.save, SCRUB_REST_MS);
  }

  send(message: Message): void {
    if (!this.reachable) return;
    this.save(); // what was chosen before the button was pressed goes first
    this.unansweredMessage = true;
    this.toHost(() => this.model.send(message));
    this.wait();
  }

  /** Runs the task now, and once in the next frame after any of these has changed. */
  follow(names: readonly Followed[], task: () => void): void {
    for (const name of names) {
      let tasks = this.followers.get(name);
      if (!tasks) {
        tasks = new Set();
        this.followers.set(name, tasks);
        if (name !== "kernel") this.on(`change:${name}`, () => this.tell(name));
      }
      tasks.add(task);
    }
    task();
  }

  private tell(name: Followed): void {
    for (const task of this.followers.get(name) ?? []) this.schedule(task);
  }

  private on(event: string, callback: () => void): void {
    this.model.on(event, callback);
    this.signal.addEventListener("abort", () => this.model.off(event, callback));
  }

  private key(name: TraitName): string {
    return JSON.stringify(this.get(name) ?? null);
  }

  /** The kernel has spoken: it knows all choices but those that it has not been told. */
  private settle(): void {
    for (const name of CHOICES) if (!this.scrubbed.has(name)) this.answered.set(name, this.key(name));
  }

  private wait(): void {
    this.contact.asked(
      this.get("status") === "running",
      () =>
        this.unansweredMessage ||
        CHOICES.some((name) => !this.scrubbed.has(name) && this.key(name) !== this.answered.get(name)),
    );
  }

  /** Hands something to the host; hosts that have lost their kernel may throw. */
  private toHost(action: () => void): void {
    try {
      action();
    } catch (error) {
      console.warn("attriscope: the host does not take messages for the kernel any more.", error);
      this.contact.lost();
    }
  }

  private readonly save = (): void => {
    clearTimeout(this.rest);
    if (!this.unsaved) return;
    this.unsaved = false;
    this.held.clear();
    for (const name of this.scrubbed) this.answered.set(name, this.key(name));
    this.scrubbed.clear();
    // To nobody: the host would only complain. The traits are set, which is what this page goes by.
    if (this.reachable) this.toHost(() => this.model.save_changes());
  };
}
