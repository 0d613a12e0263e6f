/** The settings of a method: what is typed, what is sent, what is refused. */
import { describe, expect, it, vi } from "vitest";
import { parseSetting, settingOf, withMethod, withSetting } from "../../src/selection/settings";
import { PARAMETERS } from "../support/fake";
import { all, buttonOf, choose, draw, find, useViews, view } from "../support/view";

const [steps, noise, rule, absolute, note] = PARAMETERS as unknown as [
  (typeof PARAMETERS)[number],
  (typeof PARAMETERS)[number],
  (typeof PARAMETERS)[number],
  (typeof PARAMETERS)[number],
  (typeof PARAMETERS)[number],
];

describe("what is typed", () => {
  it.each([
    [" 20 ", steps, 20],
    ["1e2", steps, 100],
    ["", steps, 50],
    ["0.25", noise, 0.25],
    ["-0", noise, -0],
    ["left", rule, "left"],
    ["true", absolute, true],
    ["false", absolute, false],
    [" as it is ", note, " as it is "],
    ["", { ...steps, value: null }, null],
  ])("%j becomes a value", (text, parameter, value) => {
    expect(parseSetting(text, parameter)).toEqual({ value });
  });

  it.each([
    ["0", steps, "n_steps must be a whole number of at least 1, but 0 came"],
    ["1001", steps, "n_steps must be a whole number of at most 1000, but 1001 came"],
    ["2.5", steps, "n_steps must be a whole number, but 2.5 came"],
    ["1e300", steps, "n_steps must be a whole number, but 1e300 came"],
    ["many", steps, "n_steps must be a whole number, but many came"],
    ["-1", noise, "stdevs must be a number of at least 0, but -1 came"],
    ["Infinity", noise, "stdevs must be a number, but Infinity came"],
    ["NaN", noise, "stdevs must be a number, but NaN came"],
    ["right", rule, "rule must be one of gauss, left, but right came"],
  ])("%j is refused with the reason", (text, parameter, reason) => {
    expect(parseSetting(text, parameter)).toEqual({ reason });
  });
});

describe("settings", () => {
  it("hold only what differs from the defaults", () => {
    const some = withSetting({}, "A", steps, 20);
    expect(some).toEqual({ A: { n_steps: 20 } });
    const more = withSetting(some, "B", absolute, false);
    expect(more).toEqual({ A: { n_steps: 20 }, B: { abs: false } });
    expect(withSetting(more, "A", steps, 50)).toEqual({ B: { abs: false } });
    expect(some).toEqual({ A: { n_steps: 20 } }); // what was given is as it was
    expect(withMethod(more, "B", {})).toEqual(some);
  });

  it("fall back to the default", () => {
    expect(settingOf({ A: { n_steps: 20 } }, "A", steps)).toBe(20);
    expect(settingOf({ A: { n_steps: 20 } }, "B", steps)).toBe(50);
    expect(settingOf({ A: {} }, "A", steps)).toBe(50);
  });

  it("survive methods and parameters with the names of built-in properties", () => {
    const odd = { ...steps, name: "toString" };
    expect(settingOf({}, "constructor", odd)).toBe(50);
    expect(withSetting({}, "constructor", odd, 3)).toEqual({ constructor: { toString: 3 } });
  });
});

describe("the form", () => {
  useViews();
  const row = (label: string): HTMLElement =>
    all(".as-setting").find((one) => one.querySelector(".as-label")!.textContent === label)!;
  const control = (label: string): HTMLInputElement =>
    row(label).querySelector<HTMLInputElement>("input, select")!;
  const commit = (label: string, value: string): void => {
    control(label).value = value;
    control(label).dispatchEvent(new Event("change"));
  };
  const refusal = (label: string): HTMLElement => row(label).querySelector<HTMLElement>(".as-refusal")!;

  it("opens below the method and shows every parameter with its default and its help", () => {
    draw();
    const toggle = buttonOf("Settings");
    expect(toggle.getAttribute("aria-expanded")).toBe("false");
    expect(find(".as-settings").hidden).toBe(true);
    toggle.click();
    expect(toggle.getAttribute("aria-expanded")).toBe("true");
    expect(document.getElementById(toggle.getAttribute("aria-controls")!)).toBe(find(".as-settings"));
    expect(find(".as-settings").hidden).toBe(false);
    expect(all(".as-setting .as-label").map((label) => label.textContent)).toEqual([
      "Steps",
      "Noise",
      "Rule",
      "Absolute",
      "Note",
    ]);
    expect([control("Steps").value, control("Rule").value, control("Absolute").checked]).toEqual([
      "50",
      "gauss",
      true,
    ]);
    const help = document.getElementById(control("Steps").getAttribute("aria-describedby")!);
    expect(help!.textContent).toBe("How many points.");
    expect(control("Steps").closest("label")).toBeTruthy();
  });

  it("sends what changed, once, and resets it", () => {
    draw();
    commit("Steps", "20");
    control("Absolute").checked = false;
    control("Absolute").dispatchEvent(new Event("change"));
    view.frame();
    expect(view.model.saves).toEqual([{ settings: { IntegratedGradients: { n_steps: 20, abs: false } } }]);
    expect(find(".as-overlay").dataset.stale).toBe("1");
    expect(buttonOf("Settings").dataset.changed).toBe("1");
    buttonOf("Reset to defaults").click();
    view.frame();
    expect(view.model.saves[1]).toEqual({ settings: {} });
    expect(control("Steps").value).toBe("50");
    expect(control("Absolute").checked).toBe(true);
    expect(find(".as-overlay").dataset.stale).toBeUndefined();
  });

  it("refuses at the control, keeps what was typed, and forgets it when it is mended", () => {
    draw();
    commit("Steps", "none");
    view.frame();
    expect(view.model.saves).toEqual([]);
    expect(refusal("Steps").textContent).toBe("n_steps must be a whole number, but none came");
    expect(control("Steps").getAttribute("aria-invalid")).toBe("true");
    expect(control("Steps").getAttribute("aria-describedby")!.split(" ")).toContain(refusal("Steps").id);
    expect(control("Steps").value).toBe("none");
    commit("Steps", "30");
    expect(refusal("Steps").hidden).toBe(true);
    expect(control("Steps").getAttribute("aria-invalid")).toBeNull();
    expect(control("Steps").getAttribute("aria-describedby")).not.toContain(refusal("Steps").id);
  });

  it("shows what the kernel refuses at the control it belongs to, twice if need be", () => {
    draw();
    const refused = { trait: "settings", method: "IntegratedGradients", name: "stdevs", value: 9 };
    for (const count of [1, 2]) {
      commit("Noise", "9");
      expect(refusal("Noise").hidden).toBe(true);
      view.frame();
      view.model.receive({ settings: {}, refused: { ...refused, reason: "stdevs is too large", count } });
      view.frame();
      expect(refusal("Noise").textContent).toBe("stdevs is too large");
      expect(control("Noise").value).toBe("0.5"); // what holds
      expect(refusal("Steps").hidden).toBe(true);
    }
  });

  it("forgets a refusal when another value holds there", () => {
    draw();
    const now = vi.spyOn(Date, "now").mockReturnValue(1000);
    const reason = "no";
    const refused = { trait: "settings", method: "IntegratedGradients", name: "n_steps", value: 9, reason };
    view.model.receive({ refused: { ...refused, count: 1 } });
    view.frame();
    now.mockReturnValue(1100);
    view.model.receive({ settings: { Saliency: { abs: false } } }); // still the kernel putting things back
    view.frame();
    expect(refusal("Steps").hidden).toBe(false);
    now.mockReturnValue(5000);
    view.model.receive({ settings: { IntegratedGradients: { n_steps: 10 } } });
    view.frame();
    expect(refusal("Steps").hidden).toBe(true);
    expect(control("Steps").value).toBe("10");
  });

  it("does not repeat what was refused before the page was opened", () => {
    draw({
      refused: { trait: "settings", method: "IntegratedGradients", name: "n_steps", reason: "old", count: 3 },
    });
    expect(refusal("Steps").hidden).toBe(true);
    view.model.receive({
      refused: { trait: "settings", method: "IntegratedGradients", name: "n_steps", reason: "new", count: 4 },
    });
    view.frame();
    expect(refusal("Steps").textContent).toBe("new");
  });

  it("changes with the method, and is not there for one without parameters", () => {
    draw();
    buttonOf("Settings").click();
    choose("Method", "Saliency");
    view.frame();
    expect(buttonOf("Settings").hidden).toBe(true);
    expect(find(".as-settings").hidden).toBe(true);
    view.model.receive({ method: "IntegratedGradients" });
    view.frame();
    expect(buttonOf("Settings").hidden).toBe(false);
  });

  it("keeps what is being typed when something else changes", () => {
    draw();
    control("Steps").value = "3";
    view.model.receive({ settings: { IntegratedGradients: { stdevs: 0.1 } } });
    view.frame();
    expect(control("Steps").value).toBe("3");
    expect(control("Noise").value).toBe("0.1");
  });

  it("shows hostile names and help as text", () => {
    const nasty = '<img src=x onerror="alert(1)">';
    const doc = "x".repeat(10_000);
    draw({
      methods: [
        {
          name: "IntegratedGradients",
          label: "IG",
          doc: nasty,
          parameters: [
            {
              name: nasty,
              label: nasty,
              kind: "choice",
              value: nasty,
              choices: [nasty, "‮evil"],
              doc: nasty,
            },
            { name: "long", label: doc, kind: "text", value: doc, doc },
          ],
        },
      ],
    });
    expect(view.el.querySelector("img")).toBeNull();
    expect(row(nasty).querySelector(".as-help")!.textContent).toBe(nasty);
    expect(row(doc).querySelector<HTMLElement>(".as-help")!.title).toBe(doc);
    expect(find(".as-settings .as-help").textContent).toBe(nasty);
  });
});
