import { describe, expect, it, vi } from "vitest";
import { derived, Follower, type Memory, note, type Snapshot } from "../../src/lib/derived";

class Values implements Snapshot {
  constructor(
    private readonly values: Readonly<Record<string, unknown>>,
    readonly memory: Memory = new Map(),
  ) {}

  peek(name: string): unknown {
    return this.values[name];
  }

  get(name: string): number {
    const value = this.values[name];
    note(name, value);
    return value as number;
  }

  /** The snapshot after this one. */
  with(values: Readonly<Record<string, unknown>>): Values {
    return new Values({ ...this.values, ...values }, this.memory);
  }
}

describe("what is derived", () => {
  it("is worked out when somebody asks, and once for one snapshot", () => {
    const make = vi.fn((from: Values) => [from.get("a")]);
    const list = derived(make);
    const values = new Values({ a: 1 });
    expect(make).not.toHaveBeenCalled();
    expect(list(values)).toBe(list(values));
    expect(make).toHaveBeenCalledTimes(1);
  });

  it("is the same object until something that it has read is another", () => {
    const list = derived((from: Values) => [from.get("a")]);
    const first = new Values({ a: 1, b: 1 });
    const before = list(first);
    const second = first.with({ b: 2 });
    expect(list(second)).toBe(before);
    const third = second.with({ a: 2 });
    expect(list(third)).toEqual([2]);
    expect(list(first)).toEqual([1]); // asked about an earlier one, it tells of that
  });

  it("reads only what it came to, and takes up what it comes to later", () => {
    const either = derived((from: Values) => [from.get("a") ? from.get("b") : from.get("c")]);
    const first = new Values({ a: 1, b: 2, c: 3 });
    const before = either(first);
    const second = first.with({ c: 4 });
    expect(either(second)).toBe(before);
    const third = second.with({ a: 0 });
    expect(either(third)).toEqual([4]);
    expect(either(third.with({ c: 5 }))).toEqual([5]);
  });

  it("holds as long as what it was derived from comes out the same", () => {
    const sign = derived((from: Values) => Math.sign(from.get("a")));
    const words = vi.fn((from: Values) => ({ sign: sign(from) }));
    const told = derived(words);
    const first = new Values({ a: 1 });
    const before = told(first);
    expect(told(first.with({ a: 5 }))).toBe(before);
    expect(words).toHaveBeenCalledTimes(1);
    expect(told(first.with({ a: -5 }))).toEqual({ sign: -1 });
  });

  it("tells NaN from nothing new", () => {
    const list = derived((from: Values) => [from.get("a")]);
    const first = new Values({ a: NaN });
    expect(list(first.with({ a: NaN }))).toBe(list(first));
  });

  it("is asked again when it failed", () => {
    const list = derived((from: Values) => {
      if (from.get("a") < 0) throw new Error("no");
      return [from.get("a")];
    });
    const first = new Values({ a: -1 });
    expect(() => list(first)).toThrow("no");
    expect(() => list(first)).toThrow("no");
    expect(list(first.with({ a: 1 }))).toEqual([1]);
  });
});

describe("a follower", () => {
  const follow = (): { seen: number[]; follower: Follower<Values> } => {
    const seen: number[] = [];
    const doubled = derived((from: Values) => 2 * from.get("a"));
    return { seen, follower: new Follower<Values>((from) => seen.push(doubled(from))) };
  };

  it("runs only when something that it has read is another, be it through what is derived", () => {
    const { seen, follower } = follow();
    const first = new Values({ a: 1, b: 1 });
    follower.run(first);
    follower.run(first);
    follower.run(first.with({ b: 2 }));
    expect(seen).toEqual([2]);
    follower.run(first.with({ a: 3 }));
    expect(seen).toEqual([2, 6]);
  });

  it("runs once more when it is told to forget", () => {
    const { seen, follower } = follow();
    const first = new Values({ a: 1 });
    follower.run(first);
    follower.forget();
    follower.run(first);
    expect(seen).toEqual([2, 2]);
  });

  it("keeps apart what another reads that it sets going", () => {
    const inner = vi.fn((from: Values) => void from.get("b"));
    const other = new Follower<Values>(inner);
    const outer = vi.fn((from: Values) => {
      from.get("a");
      other.run(from);
    });
    const follower = new Follower<Values>(outer);
    const first = new Values({ a: 1, b: 1 });
    follower.run(first);
    follower.run(first.with({ b: 2 }));
    expect(outer).toHaveBeenCalledTimes(1);
    other.run(first.with({ b: 2 }));
    expect(inner).toHaveBeenCalledTimes(2);
  });

  it("runs again after it failed, though nothing has changed", () => {
    let broken = true;
    const task = vi.fn((from: Values) => {
      from.get("a");
      if (broken) throw new Error("no");
    });
    const follower = new Follower<Values>(task);
    const values = new Values({ a: 1 });
    expect(() => follower.run(values)).toThrow("no");
    broken = false;
    follower.run(values);
    expect(task).toHaveBeenCalledTimes(2);
  });
});
