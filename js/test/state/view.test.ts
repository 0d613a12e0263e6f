import { beforeEach, describe, expect, it, vi } from "vitest";
import { State } from "../../src/state/state";
import { DEFAULTS } from "../../src/state/traits.generated";
import { FakeModel, manualFrames, sampleTraits } from "../support/fake";

let frame: () => void;
let model: FakeModel;
let state: State;

beforeEach(() => {
  frame = manualFrames();
  model = new FakeModel(sampleTraits());
  state = new State(model, new AbortController().signal);
});

describe("a view", () => {
  it("never changes; the state has another one then", () => {
    const before = state.view;
    expect(before.get("alpha")).toBe(1);
    expect(state.view).toBe(before);
    state.set("alpha", 0.5);
    expect(before.get("alpha")).toBe(1);
    expect(state.view.get("alpha")).toBe(0.5);
    model.receive({ alpha: 0.25 });
    expect(state.view.get("alpha")).toBe(0.25);
    expect(before.get("alpha")).toBe(1);
  });

  it("knows what is chosen before the frame that shows it", () => {
    state.follow({ show: (view) => void view.get("layer") });
    state.choose("layer", "stem");
    expect(state.view.get("layer")).toBe("stem");
  });

  it("gives the kernel's default for a trait that a part standing alone does not have", () => {
    delete model.values.outlier_percent;
    delete model.values.luts;
    expect(state.view.get("outlier_percent")).toBe(DEFAULTS.outlier_percent);
    expect(state.view.has("outlier_percent")).toBe(false);
    expect(state.view.has("layer")).toBe(true); // null is a value
    expect(state.view.get("layer")).toBeNull();
  });

  it("is another one when the kernel goes, and whoever reads that is told", () => {
    const task = vi.fn<(kernel: string) => void>();
    const lone = { layout: { comm_live: true } };
    const host = new FakeModel({ ...sampleTraits(), ...lone });
    const followed = new State(host, new AbortController().signal);
    followed.follow({ show: (view) => task(view.kernel) });
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    lone.layout.comm_live = false;
    host.happen("comm_live_update");
    vi.advanceTimersByTime(1);
    vi.useRealTimers();
    frame();
    expect(task.mock.calls).toEqual([["live"], ["gone"]]);
  });
});

describe("what shows a view", () => {
  it("is left alone while what it reads is the same, and shows itself when that is asked for", () => {
    const card = { show: vi.fn((view: State["view"]) => void view.get("alpha")) };
    state.follow(card);
    state.set("opacity", 0.5);
    frame();
    expect(card.show).toHaveBeenCalledTimes(1);
    state.redraw(card);
    frame();
    expect(card.show).toHaveBeenCalledTimes(2);
    frame();
    expect(card.show).toHaveBeenCalledTimes(2);
  });
});
