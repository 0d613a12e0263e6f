/** Whether there is a kernel: what the host tells, what silence tells, and what the page does about it. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { isCut } from "../../src/state/jupyter";
import { Liveness, PATIENCE_AT_WORK_MS, PATIENCE_MS } from "../../src/state/liveness";
import { State } from "../../src/state/state";
import type { Traits } from "../../src/state/traits.generated";
import { FakeModel, sampleTraits } from "../support/fake";
import {
  all,
  buttonOf,
  choose,
  draw,
  find,
  inputOf,
  option,
  press,
  menuOf,
  slide,
  treeItem,
  useViews,
  view,
} from "../support/view";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("liveness", () => {
  const make = (
    start: Liveness["state"] = "live",
  ): { liveness: Liveness; changed: ReturnType<typeof vi.fn> } => {
    const changed = vi.fn();
    return { liveness: new Liveness(start, new AbortController().signal, changed), changed };
  };

  it("is silent when a wish stays unanswered, and live again with the first word", () => {
    const { liveness, changed } = make();
    liveness.asked(false, () => true);
    vi.advanceTimersByTime(PATIENCE_MS - 1);
    expect(liveness.state).toBe("live");
    vi.advanceTimersByTime(1);
    expect(liveness.state).toBe("silent");
    expect(liveness.reachable).toBe(true); // it may only be busy
    liveness.heard();
    expect(liveness.state).toBe("live");
    expect(changed).toHaveBeenCalledTimes(2);
  });

  it("has more patience with a kernel at work", () => {
    const { liveness } = make();
    liveness.asked(true, () => true);
    vi.advanceTimersByTime(PATIENCE_AT_WORK_MS - 1);
    expect(liveness.state).toBe("live");
    vi.advanceTimersByTime(1);
    expect(liveness.state).toBe("silent");
  });

  it("counts from the first unanswered wish, and forgets it with an answer", () => {
    const { liveness } = make();
    liveness.asked(false, () => true);
    vi.advanceTimersByTime(PATIENCE_MS - 100);
    liveness.asked(false, () => true);
    vi.advanceTimersByTime(100);
    expect(liveness.state).toBe("silent");
    liveness.heard();
    liveness.asked(false, () => true);
    vi.advanceTimersByTime(PATIENCE_MS - 1);
    liveness.heard();
    vi.advanceTimersByTime(PATIENCE_AT_WORK_MS);
    expect(liveness.state).toBe("live");
  });

  it("does not mind when nothing is waited for any more", () => {
    const { liveness } = make();
    liveness.asked(false, () => false);
    vi.advanceTimersByTime(PATIENCE_MS);
    expect(liveness.state).toBe("live");
  });

  it("stays gone, whatever is heard, and static whatever is lost", () => {
    const { liveness } = make();
    liveness.lost();
    liveness.heard();
    liveness.asked(false, () => true);
    vi.advanceTimersByTime(PATIENCE_AT_WORK_MS);
    expect(liveness.state).toBe("gone");
    const saved = make("static");
    saved.liveness.lost();
    expect(saved.liveness.state).toBe("static");
    expect(saved.changed).not.toHaveBeenCalled();
  });

  it("leaves no timer behind", () => {
    const life = new AbortController();
    new Liveness("live", life.signal, vi.fn()).asked(false, () => true);
    expect(vi.getTimerCount()).toBe(1);
    life.abort();
    expect(vi.getTimerCount()).toBe(0);
  });
});

/** A signal as Lumino's. */
class Signal<T> {
  readonly slots = new Set<(sender: unknown, value: T) => void>();
  connect = (slot: (sender: unknown, value: T) => void): unknown => this.slots.add(slot);
  disconnect = (slot: (sender: unknown, value: T) => void): unknown => this.slots.delete(slot);
  emit = (value: T): void => this.slots.forEach((slot) => slot(undefined, value));
}

describe("the host", () => {
  const withManager = (kernel: unknown): FakeModel => {
    const model = new FakeModel(sampleTraits());
    model.widget_manager = { kernel };
    return model;
  };
  const withLayout = (layout: unknown): FakeModel =>
    new FakeModel({ ...sampleTraits(), ...({ layout } as Partial<Traits>) });

  it("tells by the connection of the widget's layout, and by the kernel", () => {
    expect(isCut(new FakeModel({}))).toBe(false);
    expect(isCut(withLayout({ comm_live: true }))).toBe(false);
    expect(isCut(withLayout({ comm_live: false }))).toBe(true);
    expect(isCut(withManager({ status: "busy" }))).toBe(false);
    expect(isCut(withManager({ status: "dead" }))).toBe(true);
    expect(isCut(withManager({ isDisposed: true }))).toBe(true);
    expect(isCut(withManager(null))).toBe(true); // shut down
    expect(isCut(withManager(undefined))).toBe(false); // a host that has no such thing
  });

  it("says so when the widget is cut off", () => {
    const layout = { comm_live: true };
    const model = withLayout(layout);
    const state = new State(model, new AbortController().signal);
    model.happen("comm_live_update"); // the layout is not marked yet
    layout.comm_live = false;
    vi.advanceTimersByTime(0);
    expect(state.view.kernel).toBe("gone");
  });

  it("is not misunderstood when another connection comes up", () => {
    const model = withLayout({ comm_live: true });
    const state = new State(model, new AbortController().signal);
    model.happen("comm_live_update");
    vi.advanceTimersByTime(100);
    expect(state.view.kernel).toBe("live");
  });

  it("says so when the kernel is restarted or disposed, and is let go of with the view", () => {
    for (const end of ["restarting", "autorestarting", "dead", "disposed"]) {
      const kernel = {
        status: "idle",
        statusChanged: new Signal<string>(),
        disposed: new Signal<undefined>(),
      };
      const life = new AbortController();
      const state = new State(withManager(kernel), life.signal);
      kernel.statusChanged.emit("busy");
      expect(state.view.kernel).toBe("live");
      if (end === "disposed") kernel.disposed.emit(undefined);
      else kernel.statusChanged.emit(end);
      expect(state.view.kernel).toBe("gone");
      life.abort();
      expect(kernel.statusChanged.slots.size + kernel.disposed.slots.size).toBe(0);
    }
  });

  it("that throws when it is given something has lost its kernel", () => {
    vi.spyOn(console, "warn").mockImplementation(() => undefined);
    const model = new FakeModel(sampleTraits());
    model.send = () => {
      throw new Error("Canceled");
    };
    const state = new State(model, new AbortController().signal);
    state.send({ type: "recompute" });
    expect(state.view.kernel).toBe("gone");
  });
});

describe("a page", () => {
  useViews();
  const banner = (): HTMLElement => find(".as-kernel");
  const cut = (): void => {
    (view.model.values as Record<string, unknown>).layout = { comm_live: false };
    view.model.happen("comm_live_update");
    vi.advanceTimersByTime(0);
    view.frame();
  };

  it("says that the kernel does not answer, and takes it back", () => {
    draw();
    choose("Method", "Saliency");
    view.frame();
    expect(banner().hidden).toBe(true);
    vi.advanceTimersByTime(PATIENCE_MS);
    view.frame();
    expect(banner().hidden).toBe(false);
    expect(banner().textContent).toContain("does not answer");
    expect(menuOf("Method").disabled).toBe(false);
    view.model.receive({ status: "running", message: "Starting" });
    view.frame();
    expect(banner().hidden).toBe(true);
  });

  it("does not say so when a choice was taken back before the kernel could see it", () => {
    draw();
    choose("Method", "Saliency");
    choose("Method", "IntegratedGradients");
    vi.advanceTimersByTime(PATIENCE_MS);
    view.frame();
    expect(banner().hidden).toBe(true);
  });

  it("does not wait for an answer to mere style", () => {
    draw();
    slide("Opacity", 0.2);
    choose("Mode", "heat");
    slide("Path position", 0.4);
    view.frame();
    vi.advanceTimersByTime(PATIENCE_AT_WORK_MS);
    view.frame();
    expect(banner().hidden).toBe(true);
  });

  it("waits for an answer to a button", () => {
    draw();
    buttonOf("Recompute").click();
    vi.advanceTimersByTime(PATIENCE_MS);
    view.frame();
    expect(banner().hidden).toBe(false);
  });

  it("without its kernel switches off what needs it, and goes on restyling and walking", () => {
    draw({ status: "running" });
    cut();
    expect(banner().getAttribute("role")).toBe("alert");
    expect(banner().textContent).toContain("The kernel is gone");
    for (const label of ["Method", "Baseline"]) {
      expect(menuOf(label).disabled).toBe(true);
      expect(menuOf(label).title).toContain("kernel is gone");
    }
    for (const name of ["Recompute", "Cancel", "Refine", "Reset to defaults"]) {
      expect(buttonOf(name).matches(":disabled")).toBe(true);
    }
    expect(find(".as-settings fieldset").matches(":disabled")).toBe(true);
    expect(find("[role=progressbar]").hidden).toBe(true); // nothing runs any more
    option("dog").click();
    press(option("dog"), "c");
    treeItem("stem.conv").click();
    view.frame();
    expect(view.model.saves).toEqual([]);
    expect(view.model.values.target).toBe(7);

    slide("Opacity", 0.2);
    choose("Mode", "side");
    slide("Path position", 0.4);
    view.frame();
    expect(view.model.values).toMatchObject({ opacity: 0.2, mode: "side", alpha: 0.4 });
    expect(find("canvas[role=img]").dataset.shown).toBe("walk");
    expect(buttonOf("Copy code").disabled).toBe(false);
    press(treeItem("stem.conv"), "ArrowLeft"); // the tree still opens and closes
    press(treeItem("stem"), "ArrowLeft");
    expect(all('[data-name="stem.conv"]')).toHaveLength(0);
  });

  it("saved without a kernel says so calmly from the start", () => {
    draw({ _live: false });
    expect(banner().hidden).toBe(false);
    expect(banner().getAttribute("role")).toBe("note");
    expect(menuOf("Method").disabled).toBe(true);
    expect(menuOf("Method").title).toContain("saved without its kernel");
    expect(inputOf("Opacity").disabled).toBe(false);
    buttonOf("Hide").click();
    expect(banner().hidden).toBe(true);
    vi.advanceTimersByTime(PATIENCE_AT_WORK_MS);
    expect(view.model.sent).toEqual([]);
  });
});
