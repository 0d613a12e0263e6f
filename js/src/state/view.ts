/**
 * What the page shows in one frame: the traits as they stand, and whether there is a kernel. It never changes; when
 * something does, the state gives another view. Whatever is worked out from it is a function of it, `derived` where it
 * is costly or has to stay the same object: see `lib/derived.ts`, and `selection/` for the functions.
 */
import { type Memory, note, type Snapshot } from "../lib/derived";
import { isReachable, type KernelState } from "./liveness";
import { DEFAULTS, type Traits } from "./traits.generated";

export type TraitName = keyof Traits;

/** The value of a trait; only those without a fixed default may be missing, in a part that stands alone. */
export type Value<K extends TraitName> = K extends keyof typeof DEFAULTS ? Traits[K] : Traits[K] | undefined;

const KERNEL = " kernel";
const HAS = " has ";

export class View implements Snapshot {
  readonly #values: Map<string, unknown>;
  readonly #read: (name: TraitName) => unknown;

  /** `known` are the traits that somebody has asked for before; `read` gives the others while nothing has changed. */
  constructor(
    kernel: KernelState,
    known: Iterable<TraitName>,
    read: (name: TraitName) => unknown,
    readonly memory: Memory,
  ) {
    this.#read = read;
    this.#values = new Map<string, unknown>([[KERNEL, kernel]]);
    for (const name of known) this.#values.set(name, read(name));
  }

  /** The value of a trait, or its default where this model (a part standing alone) does not have it. */
  get<K extends TraitName>(name: K): Value<K> {
    const value = this.peek(name);
    note(name, value);
    return (value === undefined ? (DEFAULTS as Partial<Traits>)[name] : value) as Value<K>;
  }

  /** Whether this model has a trait. */
  has(name: TraitName): boolean {
    const value = this.peek(HAS + name) as boolean;
    note(HAS + name, value);
    return value;
  }

  /** What is known of the kernel behind the page. */
  get kernel(): KernelState {
    const value = this.peek(KERNEL) as KernelState;
    note(KERNEL, value);
    return value;
  }

  /** Whether there may be a kernel that answers. */
  get reachable(): boolean {
    return isReachable(this.kernel);
  }

  peek(name: string): unknown {
    if (name.startsWith(HAS)) return this.peek(name.slice(HAS.length)) !== undefined;
    if (!this.#values.has(name)) this.#values.set(name, this.#read(name as TraitName));
    return this.#values.get(name);
  }
}
