/** Typed access to the widget model: what the parts read, write and follow. */
import { createSchedule, type Schedule } from "./schedule";
import type { Message, Traits } from "./traits";

/** As much of an anywidget model as the page needs. */
export interface Model {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  on(name: string, callback: () => void): void;
  off(name: string, callback: () => void): void;
  save_changes(): void;
  send(content: unknown): void;
}

export type TraitName = keyof Traits;

/** Equality of trait values as the wire sees them. */
export function sameValue(a: unknown, b: unknown): boolean {
  return Object.is(a, b) || (typeof a === "object" && JSON.stringify(a) === JSON.stringify(b));
}

export class State {
  readonly schedule: Schedule;
  private readonly followers = new Map<TraitName, Set<() => void>>();
  private unsaved = false;

  constructor(
    private readonly model: Model,
    readonly signal: AbortSignal,
  ) {
    this.schedule = createSchedule(signal);
    signal.addEventListener("abort", this.save);
  }

  /** The value of a trait; undefined when this model (a part standing alone) does not have it. */
  get<K extends TraitName>(name: K): Traits[K] | undefined {
    return this.model.get(name) as Traits[K] | undefined;
  }

  has(name: TraitName): boolean {
    return this.model.get(name) !== undefined;
  }

  /** Sets a trait; it is sent to the kernel with all others of this animation frame. */
  set<K extends TraitName>(name: K, value: Traits[K]): void {
    if (!this.has(name) || sameValue(this.get(name), value)) return;
    this.model.set(name, value);
    this.unsaved = true;
    this.schedule(this.save);
    // The model tells its listeners too; a task asked for twice still runs once.
    for (const task of this.followers.get(name) ?? []) this.schedule(task);
  }

  send(message: Message): void {
    this.save(); // what was chosen before the button was pressed goes first
    this.model.send(message);
  }

  /** Runs the task now, and once in the next frame after any of these traits has changed. */
  follow(names: readonly TraitName[], task: () => void): void {
    for (const name of names) {
      let tasks = this.followers.get(name);
      if (!tasks) {
        tasks = new Set();
        this.followers.set(name, tasks);
        this.listen(name, tasks);
      }
      tasks.add(task);
    }
    task();
  }

  private listen(name: TraitName, tasks: ReadonlySet<() => void>): void {
    const changed = (): void => {
      for (const task of tasks) this.schedule(task);
    };
    this.model.on(`change:${name}`, changed);
    this.signal.addEventListener("abort", () => this.model.off(`change:${name}`, changed));
  }

  private readonly save = (): void => {
    if (!this.unsaved) return;
    this.unsaved = false;
    this.model.save_changes();
  };
}
