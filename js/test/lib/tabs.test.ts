/** Panels of which one is on show, and the tabs that choose it. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Tabs } from "../../src/lib/tabs";
import { press } from "../support/view";

type Name = "one" | "two" | "three";
let life: AbortController;
let tabs: Tabs<Name>;
let picked: Name[];

const buttons = (): HTMLElement[] => [...document.querySelectorAll<HTMLElement>("[role=tab]")];
const panels = (): HTMLElement[] => [...document.querySelectorAll<HTMLElement>("[role=tabpanel]")];

beforeEach(() => {
  life = new AbortController();
  picked = [];
  const all = (["one", "two", "three"] as const).map((name) => {
    const panel = document.createElement("div");
    panel.textContent = `what ${name} shows`;
    return { name, label: name.toUpperCase(), title: `about ${name}`, panel };
  });
  tabs = new Tabs("Numbers", all, life.signal, (name) => {
    picked.push(name);
    tabs.show(name);
  });
  tabs.show("one");
  document.body.append(tabs.element);
});
afterEach(() => {
  life.abort();
  document.body.replaceChildren();
});

const shown = (): string[] =>
  panels()
    .filter(({ hidden }) => !hidden)
    .map(({ textContent }) => textContent);

describe("tabs", () => {
  it("show one panel, whose name is that of its tab", () => {
    expect(shown()).toEqual(["what one shows"]);
    expect(document.querySelector("[role=tablist]")!.getAttribute("aria-label")).toBe("Numbers");
    expect(buttons().map((button) => button.getAttribute("aria-selected"))).toEqual([
      "true",
      "false",
      "false",
    ]);
    for (const [i, button] of buttons().entries()) {
      expect(button.getAttribute("aria-controls")).toBe(panels()[i]!.id);
      expect(panels()[i]!.getAttribute("aria-labelledby")).toBe(button.id);
    }
    tabs.show("three");
    expect(shown()).toEqual(["what three shows"]);
    expect(picked).toEqual([]); // somebody else has chosen
  });

  it("are one stop for the Tab key", () => {
    expect(buttons().map((button) => button.getAttribute("tabindex"))).toEqual(["0", "-1", "-1"]);
    tabs.show("two");
    expect(buttons().map((button) => button.getAttribute("tabindex"))).toEqual(["-1", "0", "-1"]);
  });

  it("are picked by a press", () => {
    buttons()[1]!.click();
    expect(picked).toEqual(["two"]);
    document.querySelector<HTMLElement>("[role=tablist]")!.click(); // beside them
    expect(picked).toEqual(["two"]);
  });

  it("are picked by the arrows, round and round, and by Home and End, and the focus goes along", () => {
    buttons()[0]!.focus();
    for (const key of ["ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft", "Home", "End", "ArrowLeft"]) {
      press(document.activeElement!, key);
      expect(document.activeElement!.getAttribute("aria-selected")).toBe("true");
    }
    expect(picked).toEqual(["two", "three", "one", "three", "one", "three", "two"]);
    expect(shown()).toEqual(["what two shows"]);
  });

  it("leave other keys alone", () => {
    buttons()[0]!.focus();
    press(buttons()[0]!, "ArrowDown");
    press(buttons()[0]!, "ArrowRight", { ctrlKey: true });
    press(buttons()[0]!, "x");
    expect(picked).toEqual([]);
  });
});
