/** All rows of a table: what is asked, where the dots lie, what is told of them, and when it is out of date. */
import { beforeEach, describe, expect, it, vi } from "vitest";
import { shares } from "../../src/data/rows";
import { stack } from "../../src/lib/swarm";
import type { RawRows } from "../../src/state/messages.generated";
import type { Traits } from "../../src/state/traits.generated";
import { noise, onWire } from "../support/fake";
import { answersItsChoices } from "../support/trust";
import { all, buttonOf, draw, find, pixelsOf, press, steps, useViews, view } from "../support/view";

useViews();

const WIDTH = 216; // 200 between the ends of the axis
beforeEach(() => {
  vi.spyOn(HTMLElement.prototype, "clientWidth", "get").mockReturnValue(WIDTH);
});

const NAMES = ["age", "<script>alert(1)</script>", "شکر", "smoker"];
const REQUEST = { target: 7, baseline: "zero", contrast: null, method: "IntegratedGradients", settings: {} };
/** Three rows of the columns 1, 0 and 3. */
const ROWS: RawRows = {
  request: REQUEST,
  title: "Integrated Gradients for cat",
  unit: "score of cat",
  final: true,
  outdated: false,
  columns: [1, 0, 3],
  sizes: [2, 1, 0.5],
  others: 1,
  count: 3,
  attributions: onWire(Float32Array.of(-1, 1, 0.5, 4, -1, 0.5, 1, 1, -0.5)),
  values: onWire(Float32Array.of(10, 63, 0, 20, NaN, 1, 30, 21, 0)),
};

function shown(changes: Partial<RawRows> = {}, traits: Partial<Traits> = {}): void {
  const examples = ["Row 1", "Ada", "Row 3"].map((label) => ({ label, picture: {} }));
  draw({ table: { names: NAMES, rows: 3 }, examples, rows: { ...ROWS, ...changes }, ...traits });
}

const swarm = (): HTMLCanvasElement => find(".as-rows canvas") as HTMLCanvasElement;
const rings = (): string[] => steps(swarm()).filter((step) => step.startsWith("arc"));
const tip = (): string => find(".as-rows-tip").textContent;
const said = (): string => find(".as-rows [role=status]").textContent;
const names = (): string[] => all(".as-rows-name").map((one) => one.textContent);
const others = (): string => all(".as-rows-flow").at(-1)!.firstElementChild!.textContent;
/** Moves a pointer to, or clicks at, a place in pixels of the canvas. */
function pointer(type: string, x: number, y: number): void {
  swarm().dispatchEvent(new MouseEvent(type, { clientX: x, clientY: y, bubbles: true }));
}

/** How many pairs of dots are nearer to each other than their diameter. */
function overlaps(xs: ArrayLike<number>, ys: ArrayLike<number>, diameter: number): number {
  let pairs = 0;
  for (let i = 0; i < xs.length; i++) {
    for (let j = 0; j < i; j++) {
      if (Math.hypot(xs[i]! - xs[j]!, ys[i]! - ys[j]!) < diameter - 1e-4) pairs++;
    }
  }
  return pairs;
}

describe("the dots of a line", () => {
  it("do not touch each other while there is room for them", () => {
    const xs = noise(150).map((value) => 100 + 100 * Math.cbrt(value));
    const ys = stack(xs, 4, 60);
    expect(overlaps(xs, new Float32Array(150), 4)).toBeGreaterThan(200);
    expect(overlaps(xs, ys, 4)).toBe(0);
    expect(Math.max(...ys.map(Math.abs))).toBeLessThanOrEqual(28);
  });

  it("lie in the middle where they are alone, and the next to both sides", () => {
    expect([...stack([5, 50, 50, 50, NaN], 4, 32)].map((y) => y + 0)).toEqual([0, 0, 4, -4, NaN]);
  });

  it("move closer where there is none, but no two to the same spot nor out of the line", () => {
    const same = stack(new Float32Array(500), 4, 32);
    expect(new Set(same).size).toBe(500);
    const xs = noise(1000).map((value) => 100 + 100 * value);
    const ys = stack(xs, 3, 28);
    expect(new Set([...xs].map((x, i) => `${x} ${ys[i]!}`)).size).toBe(1000);
    for (const all of [same, ys]) expect(Math.max(...all.map(Math.abs))).toBeLessThanOrEqual(14);
  });

  it("are not pressed flat where many share one place", () => {
    const spread = Array.from({ length: 400 }, (_, i) => (i * 200) / 400);
    const both = [...spread, ...new Array<number>(600).fill(100)];
    const ys = stack(both, 3, 28);
    expect(new Set(ys.slice(400)).size).toBe(600);
    const wide = Math.max(...ys.slice(0, 150));
    expect(wide).toBeGreaterThan(2); // three levels: one apart or nearly so
  });

  it("lie at the same places each time", () => {
    const xs = noise(300);
    expect(stack(xs, 0.1, 32)).toEqual(stack(xs, 0.1, 32));
  });

  it("are placed for a thousand rows of twelve columns within a few frames", () => {
    const lines = Array.from({ length: 12 }, (_, i) => noise(1000, i + 1).map((value) => 100 + 100 * value));
    for (const xs of lines) stack(xs, 3, 28); // warm
    const start = performance.now();
    for (const xs of lines) stack(xs, 3, 28);
    expect(performance.now() - start).toBeLessThan(160); // it takes a tenth of that
  });
});

describe("the colours of the values", () => {
  it("go over the range of the column, without its outliers", () => {
    const values = Float32Array.from({ length: 101 }, (_, i) => (i === 100 ? 1e6 : i));
    const found = shares(values);
    expect(found[50]).toBeCloseTo(0.5);
    expect(found[0]).toBe(0);
    expect(found[100]).toBe(1);
  });

  it("tell what is missing, and what is all the same", () => {
    expect([...shares(Float32Array.of(1, NaN, 3))]).toEqual([0, NaN, 1]);
    expect([...shares(Float32Array.of(2, 2))]).toEqual([0.5, 0.5]);
    const rare = new Float32Array(100);
    rare[7] = 1;
    expect([shares(rare)[0], shares(rare)[7]]).toEqual([0, 1]);
  });
});

describe("the card", () => {
  it("is there for tables only", () => {
    draw();
    expect(all(".as-rows")).toHaveLength(0);
  });

  it("invites, and asks for all rows", () => {
    shown({}, { rows: {}, table: { names: NAMES, rows: 1234 } });
    expect(find(".as-rows-filled").hidden).toBe(true);
    buttonOf("Explain all 1,234 rows").click();
    expect(view.model.sent).toEqual([{ type: "explain_rows" }]);
  });

  it("asks for nothing while something is computed, nor without a kernel", () => {
    shown({}, { status: "running" });
    expect(buttonOf("Explain again").disabled).toBe(true);
    view.model.receive({ status: "idle" });
    view.frame();
    expect(buttonOf("Explain again").disabled).toBe(false);
    view.end();
    view.el.remove();
    shown({}, { _live: false });
    expect(buttonOf("Explain again").title).toContain("without its kernel");
    expect(names()).toHaveLength(3);
  });

  it("names the columns as text, in the order that came, with the sizes that came", () => {
    shown();
    expect(names()).toEqual([NAMES[1], "age", "smoker"]);
    expect(view.el.querySelector("script")).toBeNull();
    expect(all(".as-rows-name").every(({ dir }) => dir === "auto")).toBe(true);
    expect(all(".as-rows-list .as-number").map((one) => one.textContent)).toEqual(["2.00", "1.00", "0.500"]);
    expect(others()).toBe("and 1 other");
    expect(find(".as-rows").textContent).toContain("score of cat");
  });

  it("shows ten columns at first, and those that came on demand", () => {
    const columns = Array.from({ length: 14 }, (_, i) => i);
    const numbers = onWire(new Float32Array(28));
    const table = { names: columns.map((i) => `x${i}`), rows: 2 };
    shown(
      { columns, sizes: columns, others: 3, count: 2, attributions: numbers, values: numbers },
      { table },
    );
    expect(names()).toHaveLength(10);
    expect(others()).toBe("and 7 others");
    buttonOf("Show 4 more").click();
    view.frame();
    expect(names()).toHaveLength(14);
    expect(others()).toBe("and 3 others");
    buttonOf("Show fewer").click();
    view.frame();
    expect(names()).toHaveLength(10);
  });

  it("draws bars as long as the sizes", () => {
    shown();
    buttonOf("Bars").click();
    view.frame();
    expect(buttonOf("Bars").getAttribute("aria-pressed")).toBe("true");
    expect(find(".as-rows-field").hidden).toBe(true);
    const lengths = all(".as-rows-list .as-amount").map((one) => one.style.getPropertyValue("--as-to"));
    expect(lengths).toEqual(["1", "0.5", "0.25"]);
  });

  it("says how many rows it is about", () => {
    shown();
    expect(find(".as-rows .as-hint").textContent).toBe("3 rows");
    view.model.receive({ table: { names: NAMES, rows: 2000 } });
    view.frame();
    expect(find(".as-rows .as-hint").textContent).toBe("3 of 2,000 rows");
  });

  it("shows nothing of data of the wrong size", () => {
    const warned = vi.spyOn(console, "warn").mockReturnValue();
    shown({ count: 4 });
    expect(find(".as-rows-filled").hidden).toBe(true);
    expect(warned).toHaveBeenCalled();
  });

  answersItsChoices("as-rows", "explaining", shown, [
    ["target", { target: 2 }],
    ["baseline", { baseline: "blur" }],
    ["contrast", { contrast: 2 }],
    ["method", { method: "Saliency" }],
    ["setting", { settings: { IntegratedGradients: { n_steps: 9 } } }],
  ]);

  it("is not out of date at another row, layer, or neuron, but when the weights changed", () => {
    shown();
    view.model.receive({ example: 1, layer: "stem", settings: { LayerGradCam: { a: 1 } } });
    view.frame();
    expect(find(".as-rows").dataset.stale).toBeUndefined();
    view.model.receive({ rows: { ...ROWS, outdated: true } });
    view.frame();
    expect(find(".as-rows").dataset.stale).toBe("1");
    expect(buttonOf("Explain again")).toBeTruthy();
  });
});

describe("the beeswarm", () => {
  // -1 to 4 on 200 pixels after 8: -1 at 8, 1 at 88, 4 at 208; lines are 32 high.
  it("tells of the dot that is pointed at", () => {
    shown();
    pointer("pointermove", 206, 17);
    expect(tip()).toBe(`Ada: ${NAMES[1]} 20.0, +4.00`);
    pointer("pointermove", 9, 48);
    expect(tip()).toBe("Ada: age missing, −1.00");
    pointer("pointermove", 150, 48);
    expect(find(".as-rows-tip").hidden).toBe(true);
    expect(said()).toBe(""); // a pointer is not read aloud
  });

  it("shows the row of a dot that is clicked", () => {
    shown();
    pointer("click", 206, 17);
    view.frame();
    expect(view.model.values.example).toBe(1);
    pointer("click", 150, 48);
    expect(view.model.values.example).toBe(1);
  });

  it("shows no other row without a kernel", () => {
    shown({}, { _live: false });
    pointer("click", 206, 17);
    expect(view.model.values.example).toBe(0);
  });

  it("rings the row on show in each column", () => {
    shown();
    expect(new Set(rings())).toEqual(new Set(["arc 8", "arc 88", "arc 68"]));
    view.model.receive({ example: 1 });
    view.frame();
    expect(new Set(rings().slice(6))).toEqual(new Set(["arc 208", "arc 8", "arc 68"]));
  });

  it("is drawn again only when something changed", () => {
    shown();
    const before = steps(swarm()).length;
    view.model.receive({ status: "running", message: "x", alpha: 0.5 });
    view.frame();
    expect(steps(swarm())).toHaveLength(before);
    view.model.receive({ rows: { ...ROWS } });
    view.frame();
    expect(steps(swarm()).length).toBeGreaterThan(before);
  });

  it("colours low values blue and high ones red, and leaves missing ones hollow and grey", () => {
    shown();
    const pixels = pixelsOf(swarm());
    const at = (x: number, y: number): number[] => [...new Uint8Array(pixels.buffer, (y * WIDTH + x) * 4, 4)];
    expect(at(8, 16)).toEqual([43, 123, 217, 255]); // 10 of 10 to 30
    expect(at(208, 16)).toEqual([160, 147, 163, 255]); // 20
    expect(at(88, 16)).toEqual([217, 43, 75, 255]); // 30
    expect(at(8, 48)[3]).toBe(0); // of which the middle is empty
    expect(at(11, 48).slice(0, 3)).toEqual([138, 138, 138]);
    expect(at(150, 16)[3]).toBe(0);
  });

  it("goes over columns and rows by keys, and tells each", () => {
    shown();
    press(swarm(), "ArrowDown"); // shows where one is: at the row on show
    expect(said()).toBe(`Row 1: ${NAMES[1]} 10.0, −1.00`);
    press(swarm(), "ArrowRight"); // the next in the order of the attributions
    expect(said()).toBe(`Row 3: ${NAMES[1]} 30.0, +1.00`);
    press(swarm(), "ArrowDown");
    expect(said()).toBe("Row 3: age 21.0, +1.00");
    press(swarm(), "Home");
    expect(said()).toBe("Ada: age missing, −1.00");
    press(swarm(), "ArrowLeft");
    press(swarm(), "ArrowUp");
    press(swarm(), "End");
    press(swarm(), "ArrowUp");
    expect(said()).toBe(`Ada: ${NAMES[1]} 20.0, +4.00`);
    expect(view.model.values.example).toBe(0);
    press(swarm(), "Enter");
    expect(view.model.values.example).toBe(1);
  });

  it("has a name that tells of it", () => {
    shown();
    expect(swarm().getAttribute("aria-label")).toContain("3 rows");
    expect(swarm().tabIndex).toBe(0);
  });
});
