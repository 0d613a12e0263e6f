import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { DRAG_MS, SCRUB_REST_MS, type Shows, State } from "../../src/state/state";
import type { TraitName } from "../../src/state/view";
import { FakeModel, manualFrames, sampleTraits } from "../support/fake";

let frame: () => void;
let life: AbortController;
let model: FakeModel;
let state: State;

/** Something that reads these traits when it shows a view. */
function reading(names: readonly TraitName[], task: () => void): Shows {
  return {
    show(view) {
      for (const name of names) view.get(name);
      task();
    },
  };
}

beforeEach(() => {
  frame = manualFrames();
  life = new AbortController();
  model = new FakeModel(sampleTraits());
  state = new State(model, life.signal);
});
afterEach(() => {
  vi.unstubAllGlobals();
});

describe("saving", () => {
  it("happens once per frame with the last values", () => {
    for (let i = 0; i < 20; i++) state.set("opacity", i / 100);
    state.set("alpha", 0.5);
    expect(model.saves).toEqual([]);
    frame();
    expect(model.saves).toEqual([{ opacity: 0.19, alpha: 0.5 }]);
    frame();
    expect(model.saves).toHaveLength(1);
  });

  it("tells of a drag at once, then now and then, and of where it ends", () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    try {
      for (let i = 1; i <= 30; i++) {
        state.drag("opacity", i / 100);
        frame();
        vi.advanceTimersByTime(10);
      }
      vi.advanceTimersByTime(DRAG_MS);
      const told = model.saves.map(({ opacity }) => opacity);
      expect(told[0]).toBe(0.01);
      expect(told.at(-1)).toBe(0.3);
      expect(told.length).toBeGreaterThan(2);
      expect(told.length).toBeLessThan(6);
      state.drag("opacity", 0.5);
      state.choose("target", 2); // what is chosen waits for nothing, and takes along what was dragged
      frame();
      expect(model.saves.at(-1)).toEqual({ opacity: 0.5, target: 2 });
    } finally {
      vi.useRealTimers();
    }
  });

  it("is not taken back by the kernel's echo of an earlier value, but by what Python sets", () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      state.scrub("layer", "stem");
      vi.advanceTimersByTime(SCRUB_REST_MS);
      expect(model.saves).toEqual([{ layer: "stem" }]);
      state.scrub("layer", "stem.conv");
      model.receive({ layer: "stem" });
      expect(state.view.get("layer")).toBe("stem.conv");
      state.scrub("layer", "stem.act");
      model.receive({ layer: "stem" });
      expect(state.view.get("layer")).toBe("stem.act");
      vi.advanceTimersByTime(SCRUB_REST_MS);
      expect(model.saves.at(-1)).toEqual({ layer: "stem.act" });
      model.receive({ layer: "stem" }); // nothing waits: that is another choice
      expect(state.view.get("layer")).toBe("stem");
      state.scrub("layer", "stem.conv");
      model.receive({ layer: null });
      expect(state.view.get("layer")).toBeNull();
    } finally {
      vi.useRealTimers();
    }
  });

  it("is not forgotten when the view ends in a drag", () => {
    state.drag("alpha", 0.5);
    frame();
    state.drag("alpha", 0.6);
    frame();
    life.abort();
    expect(model.saves).toEqual([{ alpha: 0.5 }, { alpha: 0.6 }]);
  });

  it("leaves out values that are there already", () => {
    state.set("alpha", 1);
    state.set("target", 7);
    frame();
    expect(model.saves).toEqual([]);
  });

  it("compares targets by what they hold", () => {
    model.values.target = [1, 2];
    state.set("target", [1, 2]);
    frame();
    expect(model.saves).toEqual([]);
    state.set("target", [2, 1]);
    frame();
    expect(model.saves).toEqual([{ target: [2, 1] }]);
  });

  it("never sets a trait that a part standing alone does not have", () => {
    delete model.values.layer;
    state.set("layer", "stem");
    expect("layer" in model.values).toBe(false);
    model.values.layer = null; // null is a value
    state.set("layer", "stem");
    expect(model.values.layer).toBe("stem");
  });

  it("goes before a message, so that the kernel knows what was chosen", () => {
    state.set("method", "Saliency");
    state.send({ type: "recompute" });
    expect(model.saves).toEqual([{ method: "Saliency" }]);
    expect(model.sent).toEqual([{ type: "recompute" }]);
    frame();
    expect(model.saves).toHaveLength(1);
  });

  it("is not forgotten when the view ends in the same frame", () => {
    state.set("alpha", 0.25);
    life.abort();
    expect(model.saves).toEqual([{ alpha: 0.25 }]);
  });
});

describe("following", () => {
  it("asks for one animation frame at a time", () => {
    const ask = vi.fn(requestAnimationFrame);
    vi.stubGlobal("requestAnimationFrame", ask);
    state.follow(reading(["alpha", "opacity"], vi.fn()));
    model.receive({ alpha: 0.1, opacity: 0.2 });
    state.set("alpha", 0.3);
    expect(ask).toHaveBeenCalledTimes(1);
  });

  it("runs the task at once, then once per frame however many traits change", () => {
    const task = vi.fn();
    state.follow(reading(["alpha", "opacity"], task));
    expect(task).toHaveBeenCalledTimes(1);
    model.receive({ alpha: 0.1, opacity: 0.2 });
    model.receive({ alpha: 0.3 });
    state.set("opacity", 0.9);
    expect(task).toHaveBeenCalledTimes(1);
    frame();
    expect(task).toHaveBeenCalledTimes(2);
    model.receive({ sign: "positive" });
    frame();
    expect(task).toHaveBeenCalledTimes(2);
  });

  it("hears its own changes on a host whose model does not tell them", () => {
    const silent = new FakeModel(sampleTraits());
    silent.on = () => undefined;
    const quiet = new State(silent, life.signal);
    const task = vi.fn();
    quiet.follow(reading(["alpha"], task));
    quiet.set("alpha", 0.5);
    frame();
    expect(task).toHaveBeenCalledTimes(2);
  });

  it("listens to each trait once and stops when the view ends", () => {
    const task = vi.fn();
    const before = model.listening;
    state.follow(reading(["alpha", "opacity"], task));
    state.follow(reading(["alpha"], vi.fn()));
    expect(model.listening).toBe(before + 2);
    model.receive({ alpha: 0.5 }); // asked for, not yet run
    life.abort();
    frame();
    expect(task).toHaveBeenCalledTimes(1);
    expect(model.listening).toBe(0);
  });

  it("goes on with the other tasks when one fails", () => {
    const error = vi.spyOn(console, "error").mockImplementation(() => undefined);
    let broken = false;
    state.follow(
      reading(["alpha"], () => {
        if (broken) throw new Error("no");
      }),
    );
    const task = vi.fn();
    state.follow(reading(["alpha"], task));
    broken = true;
    model.receive({ alpha: 0 });
    frame();
    expect(task).toHaveBeenCalledTimes(2);
    expect(error).toHaveBeenCalledTimes(1);
  });
});
