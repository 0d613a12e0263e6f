/** Choices whose answer is here already: shown at once, told to the kernel late, and never waited for. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { PATIENCE_MS } from "../../src/state/liveness";
import { SCRUB_REST_MS, State } from "../../src/state/state";
import { FakeModel, manualFrames, sampleTraits } from "../support/fake";
import { layerTraits } from "../support/layer-traits";

let frame: () => void;
let life: AbortController;
let model: FakeModel;
let state: State;

function begin(changes: object = {}): void {
  life = new AbortController();
  model = new FakeModel(sampleTraits(layerTraits(changes)));
  state = new State(model, life.signal);
}
beforeEach(() => {
  vi.useFakeTimers();
  frame = manualFrames();
  begin();
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("scrubbing", () => {
  it("tells followers at once and the kernel when it has rested, with the last value only", () => {
    const task = vi.fn<(layer: unknown) => void>();
    state.follow({ show: (view) => task(view.get("layer")) });
    for (const name of ["stem", "stem.conv", "stem.act"]) {
      state.scrub("layer", name);
      frame();
      vi.advanceTimersByTime(SCRUB_REST_MS - 1);
    }
    expect(task).toHaveBeenCalledTimes(4);
    expect(model.saves).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(model.saves).toEqual([{ layer: "stem.act" }]);
    vi.advanceTimersByTime(10_000);
    expect(model.saves).toHaveLength(1);
  });

  it("goes to the kernel before any message, with any other choice, and with the end of the view", () => {
    state.scrub("layer", "stem");
    state.send({ type: "pin" });
    expect(model.saves).toEqual([{ layer: "stem" }]);
    state.scrub("layer", "stem.act");
    state.choose("target", 2);
    frame();
    expect(model.saves[1]).toEqual({ layer: "stem.act", target: 2 });
    state.scrub("layer", "stem");
    life.abort();
    expect(model.saves[2]).toEqual({ layer: "stem" });
    vi.advanceTimersByTime(10_000);
    expect(model.saves).toHaveLength(3);
  });

  it("works without a kernel, which is never told", () => {
    begin({ _live: false });
    state.scrub("layer", "stem");
    vi.advanceTimersByTime(10_000);
    expect(model.values.layer).toBe("stem");
    expect(model.saves).toEqual([]);
  });
});

describe("the kernel is not called silent", () => {
  it("for a scrub, told or not", () => {
    state.scrub("layer", "stem");
    vi.advanceTimersByTime(10 * PATIENCE_MS);
    expect(state.view.kernel).toBe("live");
  });

  it("for a scrub after a wish that was answered", () => {
    state.choose("target", 2);
    frame();
    model.receive({ status: "running" });
    state.scrub("layer", "stem");
    model.receive({ status: "idle" });
    vi.advanceTimersByTime(10 * PATIENCE_MS);
    expect(state.view.kernel).toBe("live");
  });

  it("for a wish taken back, whatever was scrubbed meanwhile", () => {
    state.choose("target", 2);
    state.scrub("layer", "stem");
    state.choose("target", 7);
    vi.advanceTimersByTime(10 * PATIENCE_MS);
    expect(state.view.kernel).toBe("live");
  });

  it("when one scrubs away and comes back by choice before it was told", () => {
    state.scrub("layer", "stem");
    model.receive({ progress: 0.5 }); // about something else
    state.choose("layer", null);
    vi.advanceTimersByTime(10 * PATIENCE_MS);
    expect(state.view.kernel).toBe("live"); // nothing has changed for it: it has nothing to say
  });

  it("but is when a true wish is not answered", () => {
    state.scrub("layer", "stem");
    state.choose("target", 2);
    vi.advanceTimersByTime(PATIENCE_MS);
    expect(state.view.kernel).toBe("silent");
  });
});
