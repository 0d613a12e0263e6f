/** Typed access to the widget model: what the parts read, write and follow. */
import { Contact, type KernelState } from "./contact";
import { isCut, whenCut } from "./host";
import { createSchedule, type Schedule } from "./schedule";
import { CHOICES, type Message, type Traits } from "./traits";

/** As much of an anywidget model as the page needs. */
export interface Model {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  on(name: string, callback: () => void): void;
  off(name: string, callback: () => void): void;
  save_changes(): void;
  send(content: unknown): void;
  /** Jupyter hosts only. */
  readonly widget_manager?: unknown;
}

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
];

/** Equality of trait values as the wire sees them. */
export function sameValue(a: unknown, b: unknown): boolean {
  return Object.is(a, b) || (typeof a === "object" && JSON.stringify(a) === JSON.stringify(b));
}

export class State {
  readonly schedule: Schedule;
  private readonly followers = new Map<Followed, Set<() => void>>();
  private readonly contact: Contact;
  private unsaved = false;
  /** The choices as they stood when the kernel was last heard. */
  private answered: string;
  private unansweredMessage = false;

  constructor(
    private readonly model: Model,
    readonly signal: AbortSignal,
  ) {
    this.schedule = createSchedule(signal);
    signal.addEventListener("abort", this.save);
    const start = this.get("_live") === false ? "static" : isCut(model) ? "gone" : "live";
    this.contact = new Contact(start, signal, () => this.tell("kernel"));
    this.answered = this.choices();
    if (start === "static") return;
    whenCut(model, signal, () => this.contact.lost());
    const heard = (): void => {
      this.unansweredMessage = false;
      this.answered = this.choices();
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
    if (!this.has(name) || sameValue(this.get(name), value)) return;
    this.model.set(name, value);
    this.unsaved = true;
    this.schedule(this.save);
    // The model tells its listeners too; a task asked for twice still runs once.
    this.tell(name);
  }

  /** Sets a choice that the kernel has to answer. Without a kernel nothing is chosen, for nothing would come of it. */
  choose<K extends TraitName>(name: K, value: Traits[K]): void {
    if (!this.reachable || !this.has(name) || sameValue(this.get(name), value)) return;
    this.set(name, value);
    this.wait();
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

  private choices(): string {
    return JSON.stringify(CHOICES.map((name) => this.get(name) ?? null));
  }

  private wait(): void {
    this.contact.asked(
      this.get("status") === "running",
      () => this.unansweredMessage || this.choices() !== this.answered,
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
    if (!this.unsaved) return;
    this.unsaved = false;
    // To nobody: the host would only complain. The traits are set, which is what this page goes by.
    if (this.reachable) this.toHost(() => this.model.save_changes());
  };
}
