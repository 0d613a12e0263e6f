/**
 * Values that are worked out from a snapshot, and from a later one only when something that they have read is another.
 * What they read is noted while they read it, so that nobody keeps lists of what depends on what: a value is the same
 * object for as long as all that it was made from is the same.
 */

/** Something that never changes, of which values can be read by name. */
export interface Snapshot {
  /** Without noting that it was read. */
  peek(name: string): unknown;
  /** What was worked out before: shared with the snapshots before and after this one. */
  readonly memory: Memory;
}

type Derived = (from: never) => unknown;
/** What was read, and what it was. */
type Notes = Map<string | Derived, unknown>;

interface Entry {
  readonly value: unknown;
  readonly notes: Notes;
  /** The snapshot for which this was found to hold last. */
  from: Snapshot;
}

export type Memory = Map<Derived, Entry>;

/** Where what is read now is noted; undefined while nobody asks. */
let noting: Notes | undefined;

function withNotes<T>(notes: Notes | undefined, task: () => T): T {
  const outer = noting;
  noting = notes;
  try {
    return task();
  } finally {
    noting = outer;
  }
}

/** Notes that a value was read, for whatever is being worked out. */
export function note(what: string | Derived, value: unknown): void {
  noting?.set(what, value);
}

function stillHolds(notes: Notes, from: Snapshot): boolean {
  return withNotes(undefined, () => {
    for (const [what, value] of notes) {
      const now = typeof what === "string" ? from.peek(what) : what(from as never);
      if (!Object.is(now, value)) return false;
    }
    return true;
  });
}

/** Makes a function of snapshots that is worked out no more often than it has to be. It must depend on nothing else. */
export function derived<S extends Snapshot, T>(make: (from: S) => T): (from: S) => T {
  const self = (from: S): T => {
    let entry = from.memory.get(self);
    if (!entry || (entry.from !== from && !stillHolds(entry.notes, from))) {
      const notes: Notes = new Map();
      entry = { value: withNotes(notes, () => make(from)), notes, from };
      from.memory.set(self, entry);
    }
    entry.from = from;
    note(self, entry.value);
    return entry.value as T;
  };
  return self;
}

/** Runs a task for one snapshot after the other, but not where all that it has read is the same. */
export class Follower<S extends Snapshot> {
  #notes: Notes | undefined;
  readonly #task: (from: S) => void;

  constructor(task: (from: S) => void) {
    this.#task = task;
  }

  /** Has the task run next time whatever it has read. */
  forget(): void {
    this.#notes = undefined;
  }

  run(from: S): void {
    if (this.#notes && stillHolds(this.#notes, from)) return;
    this.#notes = undefined; // a task that fails is run again
    const notes: Notes = new Map();
    withNotes(notes, () => this.#task(from));
    this.#notes = notes;
  }
}
