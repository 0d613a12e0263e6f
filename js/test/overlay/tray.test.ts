/** The tray: maps that were kept, two of them picked, and what is made of them. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { TURN_MS } from "../../src/overlay/flicker";
import type { RawPinned } from "../../src/state/messages.generated";
import type { Traits } from "../../src/state/traits.generated";
import { HEAT, noise, onWire, sampleTraits } from "../support/fake";
import { layerTraits } from "../support/layer-traits";
import {
  all,
  buttonOf,
  choose,
  draw,
  find,
  labelled,
  press,
  selectOf,
  useViews,
  view,
} from "../support/view";

useViews();

const A = noise(6, 3);
const B = noise(6, 8).map((value) => value * 1e-3);

const pin = (id: number, title: string, values: Float32Array, more: object = {}): RawPinned => ({
  id,
  title,
  heat: { ...sampleTraits().heat, data: onWire(values), title, request: { target: id }, sum: id, ...more },
  picture: { shape: [2, 3], data: onWire(new Uint8Array(18).fill(90)) },
});

const PINS = [pin(1, "Saliency for cat", A), pin(2, "Occlusion for dog", B)];

let reduced = false;
beforeEach(() => {
  reduced = false;
  vi.stubGlobal("matchMedia", () => ({ matches: reduced }));
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
});

const show = (changes: Partial<Traits> = {}): void => draw(layerTraits({ pinned: PINS, ...changes }));
const receive = (changes: Partial<Traits>): void => {
  view.model.receive(changes);
  view.frame();
};
const title = (): string => find(".as-overlay .as-title").textContent;
const headings = (): string[] =>
  all(".as-pin-head")
    .filter(({ hidden }) => !hidden)
    .map((head) => head.querySelector(".as-pin-title")!.textContent);
const checks = (): HTMLInputElement[] => all(".as-tray .as-check") as HTMLInputElement[];
const tick = (index: number): void => {
  checks()[index]!.click();
  view.frame();
};
const note = (): string => find(".as-tray .as-note").textContent;
const open = (): void => buttonOf("Pins (2)").click();

/** What is read at each pixel of a canvas, by the keys. */
function readings(canvas: Element): string[] {
  return [0, 1].flatMap((y) =>
    [0, 1, 2].map((x) => {
      for (const key of ["ArrowLeft", "ArrowLeft", "ArrowLeft", "ArrowUp", "ArrowUp"]) press(canvas, key);
      for (let i = 0; i < x; i++) press(canvas, "ArrowRight");
      for (let i = 0; i < y; i++) press(canvas, "ArrowDown");
      view.frame();
      return find(".as-readout").textContent;
    }),
  );
}

describe("the tray", () => {
  it("lists what was kept, and ticks are what is looked at, two at most, in their order", () => {
    show({ pinned: [...PINS, pin(7, "LRP for hat", HEAT)] });
    expect(all(".as-pinned")).toHaveLength(0);
    buttonOf("Pins (3)").click();
    expect(all(".as-pin-name").map((name) => name.textContent)).toEqual([
      "1. Saliency for cat",
      "2. Occlusion for dog",
      "7. LRP for hat",
    ]);
    expect(note()).toMatch(/^Tick one/);
    expect(selectOf("Shown as").disabled).toBe(true);
    tick(2);
    expect(headings()).toEqual(["LRP for hat", "Integrated Gradients for cat"]);
    expect(title()).toBe("A pinned map, and the map on show");
    tick(0);
    expect(view.model.saves.at(-1)).toEqual({ beside: [7, 1] });
    expect(headings()).toEqual(["LRP for hat", "Saliency for cat"]);
    expect(title()).toBe("Two pinned maps");
    expect(checks().map(({ checked, disabled }) => [checked, disabled])).toEqual([
      [true, false],
      [false, true],
      [true, false],
    ]);
    expect(checks()[1]!.title).toBe("Two at most: untick one first");
    tick(2);
    expect(headings()).toEqual(["Saliency for cat", "Integrated Gradients for cat"]);
    expect(view.model.sent).toEqual([]); // the kernel has nothing to do
  });

  it("gives each map a scale of its own where their numbers are not the same thing", () => {
    const [contribution, gradient] = [{ quantity: "contribution" }, { quantity: "gradient" }] as const;
    const scales = (): string[] => all(".as-notes").map((notes) => notes.textContent.split(" · ")[0]!);
    const ends = (): string => find(".as-ticks").textContent;
    show({ pinned: [pin(1, "Saliency", A, gradient), pin(2, "Occlusion", B, contribution)], beside: [2] });
    open();
    receive({ beside: [1, 2] });
    const own = ends();
    expect(scales()).toEqual(["each map has its own scale"]);
    expect(note()).toMatch(/^Each on a scale of its own/);
    receive({ pinned: [pin(1, "Saliency", A, contribution), pin(2, "Occlusion", B, contribution)] });
    expect(scales()).toEqual(["one scale for both maps"]);
    expect(note()).toBe("Both on one scale.");
    expect(ends()).not.toBe(own); // B is a thousand times smaller than A
    receive({ pinned: [pin(2, "Occlusion", B, contribution)], beside: [] });
  });

  it("leaves two pins when a layer is picked, whose map they would hide, and stays with one", () => {
    show({ beside: [1, 2] });
    press(find("canvas[role=img]"), "]");
    view.frame();
    expect(view.model.values.layer).toBe("stem");
    expect(view.model.values.beside).toEqual([]);
    expect(title()).toBe("Grad-CAM at stem for cat");
    receive({ beside: [1] });
    press(find("canvas[role=img]"), "]");
    view.frame();
    expect(view.model.values.beside).toEqual([1]);
    expect(headings()).toEqual(["Saliency for cat", "Grad-CAM at stem.conv for cat"]);
  });

  it("lets go of one, keeps the focus in the list, and gives it back when the list is empty", () => {
    show();
    open();
    const remove = labelled("Remove 1. Saliency for cat");
    remove.focus();
    remove.click();
    expect(view.model.sent).toEqual([{ type: "unpin", pin: 1 }]);
    receive({ pinned: PINS.slice(1) });
    expect(document.activeElement).toBe(labelled("Remove 2. Occlusion for dog"));
    receive({ pinned: [PINS[1]!, pin(3, "LRP for hat", HEAT)] });
    expect(document.activeElement).toBe(labelled("Remove 2. Occlusion for dog"));
    receive({ pinned: [] });
    expect(document.activeElement).toBe(buttonOf("Pin"));
    expect(buttonOf("Pins (0)").hidden).toBe(true);
    expect(find(".as-tray").hidden).toBe(true);
  });

  it("shows what is left of what was kept where the rest is gone or broken", () => {
    const broken = { ...PINS[0]!, heat: { ...PINS[0]!.heat, data: onWire(new Float32Array(4)) } };
    const warned = vi.spyOn(console, "warn").mockImplementation(() => undefined);
    show({ pinned: [broken, PINS[1]!], beside: [1, 9, 2] });
    expect(warned).toHaveBeenCalledOnce();
    expect(headings()).toEqual(["Occlusion for dog", "Integrated Gradients for cat"]);
    warned.mockRestore();
  });
});

describe("two pins side by side", () => {
  it("stand in the place of the present map, each under its title, on one scale", () => {
    show({ beside: [1, 2] });
    expect(all("canvas[role=img]")).toHaveLength(2);
    const limit = Math.max(...A.map(Math.abs));
    expect(find(".as-ticks").lastElementChild!.textContent).toBe(limit.toPrecision(3));
    expect(find(".as-notes").textContent).toContain("one scale for both maps");
    expect(find(".as-finding").textContent).toBe("The left one sums to +1.00, the right one to +2.00.");
    expect(find(".as-notes").textContent).not.toContain("sum"); // of which one?
    expect(find(".as-overlay").dataset.instead).toBe("1");
    receive({ beside: [] });
    expect(all("canvas[role=img]")).toHaveLength(1);
    expect(title()).toBe("Integrated Gradients for cat");
    expect(find(".as-overlay").dataset.instead).toBeUndefined();
  });

  it("take the focus of a stage that goes, and give it back", () => {
    show();
    const present = find("canvas[role=img]");
    present.focus();
    receive({ beside: [1, 2] });
    expect(present.isConnected).toBe(false);
    expect(document.activeElement).toBe(all("canvas[role=img]")[1]);
    press(document.activeElement!, "+");
    view.frame();
    receive({ beside: [] });
    expect(document.activeElement).toBe(present);
  });
});

describe("a difference", () => {
  it("is the first map minus the second in 32 bits, on a scale of its own", () => {
    show({ beside: [2, 1], compare_as: "difference" });
    const left = Float32Array.from(B, (value, i) => Math.fround(value - A[i]!));
    expect(title()).toBe("Occlusion for dog − Saliency for cat");
    expect(headings()).toEqual([]);
    const canvases = all("canvas[role=img]");
    expect(canvases).toHaveLength(1);
    const texts = Array.from(left, (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toPrecision(3)}`);
    expect(readings(canvases[0]!).map((text) => text.split(": ")[1])).toEqual(texts);
    press(canvases[0]!, "Escape");
    canvases[0]!.dispatchEvent(new Event("blur"));
    view.frame();
    const limit = Math.max(...left.map(Math.abs));
    expect(find(".as-ticks").lastElementChild!.textContent).toBe(limit.toPrecision(3));
    expect(find(".as-notes").textContent).toMatch(/^sum \+1\.00 · /);
    expect(find(".as-finding").textContent).toBe(
      "Above 0: more in Occlusion for dog. Below 0: more in Saliency for cat.",
    );
    receive({ scale_limit: 9 });
    expect(find(".as-ticks").lastElementChild!.textContent).toBe(limit.toPrecision(3));
  });

  it("is of the map on show minus the pin where one is picked, and holds the maps' scale", () => {
    show({ beside: [1], compare_as: "difference" });
    expect(title()).toBe("Integrated Gradients for cat − Saliency for cat");
    expect(find(".as-notes").textContent).toContain("sum −0.750");
    buttonOf("Style").click();
    buttonOf("Hold scale").click();
    expect(view.model.get("scale_limit")).toBe(Math.max(1, ...A.map(Math.abs)));
  });

  it.each([
    ["sizes", { shape: [1, 6] }, "no difference: the maps are of different sizes"],
    ["pixels", { pixels: 4 }, "no difference: the maps are of different sizes"],
    ["quantities", { quantity: "gradient" }, "no difference: the maps are of different quantities"],
  ])("is not made of different %s: they stand side by side, and it is said why", (_, more, why) => {
    show({ pinned: [PINS[0]!, pin(2, "Other", B, more)], beside: [1, 2], compare_as: "difference" });
    expect(headings()).toEqual(["Saliency for cat", "Other"]);
    expect(find(".as-notes").textContent).toContain(why);
    open();
    expect(note()).toBe(`${why.replace("no", "No")}: they stand side by side.`);
  });

  it("waits for the end of the walk, and for a map", () => {
    show({ beside: [1], compare_as: "difference" });
    receive({ alpha: 0.5 });
    expect(find(".as-notes").textContent).toContain("no difference: only finished maps are subtracted");
    receive({ alpha: 1, heat: {} });
    expect(headings()).toEqual(["Saliency for cat", "Picture"]);
  });

  it("is summed over blocks as other maps are", () => {
    const summable = { summable: true };
    show({ pinned: [pin(1, "P", A, summable), pin(2, "Q", B, summable)], beside: [1, 2], detail: 3 });
    receive({ compare_as: "difference" });
    const all6 = A.reduce((sum, value, i) => sum + Math.fround(value - B[i]!), 0);
    const text = readings(find("canvas[role=img]"))[0]!.split(": ")[1];
    expect(text).toBe(`${all6 < 0 ? "−" : "+"}${Math.abs(all6).toPrecision(3)}`);
  });
});

describe("flicker", () => {
  const turn = (): void => {
    vi.advanceTimersByTime(TURN_MS);
    view.frame();
  };
  const fast = { beside: [1, 2], compare_as: "flicker" } as const;

  it("shows one after the other on the same stage and scale, and says which", () => {
    show(fast);
    const stage = find("canvas[role=img]");
    expect(title()).toBe("1 of 2: Saliency for cat");
    turn();
    expect(title()).toBe("2 of 2: Occlusion for dog");
    expect(find("canvas[role=img]")).toBe(stage);
    expect(stage.getAttribute("aria-label")).toMatch(/^Occlusion for dog/);
    const ticks = find(".as-ticks").textContent;
    turn();
    expect(title()).toBe("1 of 2: Saliency for cat");
    expect(find(".as-ticks").textContent).toBe(ticks);
  });

  it("can be held, stepped by hand and set going again", () => {
    show(fast);
    buttonOf("Hold").click();
    turn();
    expect(title()).toMatch(/^1 of 2/);
    buttonOf("Go on").click();
    turn();
    expect(title()).toMatch(/^2 of 2/);
    buttonOf("Switch").click();
    view.frame();
    expect(title()).toMatch(/^1 of 2/);
    turn();
    expect(title()).toMatch(/^1 of 2/);
  });

  it("does not move by itself for who wants less motion", () => {
    reduced = true;
    show(fast);
    expect(buttonOf("Go on").hasAttribute("hidden")).toBe(true);
    turn();
    expect(title()).toBe("1 of 2: Saliency for cat");
    buttonOf("Switch").click();
    view.frame();
    expect(title()).toBe("2 of 2: Occlusion for dog");
  });

  it("ends with the choice, and with the page", () => {
    show(fast);
    vi.advanceTimersByTime(300); // what waited for a rest is done
    const before = vi.getTimerCount();
    choose("Shown as", "side");
    view.frame();
    vi.advanceTimersByTime(300);
    expect(vi.getTimerCount()).toBe(before - 1);
    expect(find(".as-flicker").hidden).toBe(true);
    receive({ compare_as: "flicker" });
    vi.advanceTimersByTime(300);
    expect(vi.getTimerCount()).toBe(before);
    view.end();
    expect(vi.getTimerCount()).toBe(0);
  });
});
