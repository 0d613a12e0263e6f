/** A word that is chosen from a list: by pointer, by keys, and by typing. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { keepKeys } from "../../src/lib/keys";
import { Menu, type MenuItem } from "../../src/lib/menu";
import { press } from "../support/view";

const FRUIT: readonly MenuItem[] = [
  { value: "apple", label: "Apple", note: "12%" },
  { value: "apricot", label: "Apricot" },
  { value: "banana", label: "Banana" },
  { value: "cherry", label: "Cherry" },
];
const THOUSAND: readonly MenuItem[] = Array.from({ length: 1000 }, (_, i) => ({
  value: String(i),
  label: `class ${i}`,
}));

let life: AbortController;
let root: HTMLElement;
let picked: string[];
/** What came out of the widget. */
let heard: string[];
let menu: Menu;

function make(search?: string, items = FRUIT, value = "banana"): void {
  menu = new Menu("Fruit", life.signal, (one) => picked.push(one), search);
  menu.show(items, value);
  root.append(menu.element);
}

const lines = (): HTMLElement[] => [...root.querySelectorAll<HTMLElement>("[role=option]")];
const active = (): string | undefined => lines().find(({ dataset }) => dataset.active)?.dataset.value;
const list = (): HTMLElement => root.querySelector<HTMLElement>("[role=listbox]")!;
const search = (): HTMLInputElement => root.querySelector<HTMLInputElement>("input[type=search]")!;
const rest = (): HTMLElement => root.querySelector<HTMLElement>(".as-menu-rest")!;
function write(text: string): void {
  search().value = text;
  search().dispatchEvent(new Event("input"));
}

beforeEach(() => {
  life = new AbortController();
  picked = [];
  heard = [];
  root = document.createElement("div");
  root.className = "as-root";
  document.body.append(root);
  keepKeys(root, life.signal);
  document.body.addEventListener("keydown", ({ key }) => heard.push(key), { signal: life.signal });
});
afterEach(() => {
  life.abort();
  document.body.replaceChildren();
});

describe("a menu", () => {
  it("says what is chosen, and is closed", () => {
    make();
    expect(menu.button.textContent).toBe("Banana");
    expect(menu.button.dataset.value).toBe("banana");
    expect(menu.button.getAttribute("aria-expanded")).toBe("false");
    expect(lines()).toHaveLength(0);
    menu.show(FRUIT, "", "Average of 2");
    expect(menu.button.textContent).toBe("Average of 2");
    expect(menu.button.dataset.value).toBe("");
    menu.show(FRUIT, "durian");
    expect(menu.button.textContent).toBe("durian");
  });

  it("opens by a press, takes a line by a press, and closes", () => {
    make();
    menu.button.click();
    expect(menu.open).toBe(true);
    expect(menu.button.getAttribute("aria-expanded")).toBe("true");
    expect(document.activeElement).toBe(list());
    expect(lines().map((line) => line.getAttribute("aria-selected"))).toEqual([
      "false",
      "false",
      "true",
      "false",
    ]);
    expect(lines()[0]!.textContent).toBe("Apple12%");
    lines()[3]!.querySelector("span")!.click();
    expect(picked).toEqual(["cherry"]);
    expect(menu.open).toBe(false);
    expect(document.activeElement).toBe(menu.button);
  });

  it("takes nothing where no line is", () => {
    make();
    menu.button.click();
    list().click();
    expect(picked).toEqual([]);
    expect(menu.open).toBe(true);
  });

  it("is in order for those who listen", () => {
    make("Search fruit");
    menu.button.click();
    const line = lines().find(({ dataset }) => dataset.active)!;
    for (const element of [list(), search()]) {
      expect(element.getAttribute("aria-activedescendant")).toBe(line.id);
    }
    expect(menu.button.getAttribute("aria-controls")).toBe(list().id);
    expect(search().getAttribute("aria-controls")).toBe(list().id);
    expect(new Set(lines().map(({ id }) => id)).size).toBe(FRUIT.length);
  });

  it("has lines of a group below its name", () => {
    make(undefined, [
      FRUIT[0]!,
      { value: "leek", label: "Leek", group: "Greens" },
      { value: "kale", label: "Kale", group: "Greens" },
      { value: "oat", label: "Oat", group: "Grains" },
    ]);
    menu.button.click();
    const groups = [...root.querySelectorAll("[role=group]")];
    expect(
      groups.map((group) => [
        document.getElementById(group.getAttribute("aria-labelledby")!)!.textContent,
        group.querySelectorAll("[role=option]").length,
      ]),
    ).toEqual([
      ["Greens", 2],
      ["Grains", 1],
    ]);
    press(list(), "End");
    press(list(), "Enter");
    expect(picked).toEqual(["oat"]);
  });

  it("says below the list what the line is about that the keys or a pointer are on", () => {
    const about = (): HTMLElement => root.querySelector<HTMLElement>(".as-menu-about")!;
    make(undefined, [{ value: "fig", label: "Fig", about: "Is <sweet>." }, ...FRUIT], "fig");
    menu.button.click();
    expect([about().hidden, about().textContent]).toEqual([false, "Is <sweet>."]);
    press(list(), "ArrowDown");
    expect(about().textContent).toBe("");
    lines()[0]!.dispatchEvent(new Event("pointerover", { bubbles: true }));
    expect(about().textContent).toBe("Is <sweet>.");
    list().dispatchEvent(new Event("pointerleave"));
    expect(about().textContent).toBe("");
    root.replaceChildren();
    make();
    menu.button.click();
    expect(about().hidden).toBe(true); // where there is nothing to say there is no room for it
  });

  it("makes pictures only when it opens, and shows names as text", () => {
    const picture = vi.fn(() => document.createElement("canvas"));
    make(undefined, [{ value: "x", label: "<b>x</b>" }], "x");
    menu.pictureOf = picture;
    expect(picture).not.toHaveBeenCalled();
    menu.button.click();
    expect(picture).toHaveBeenCalledTimes(1);
    expect(root.querySelector("b")).toBeNull();
    expect(lines()[0]!.querySelector("canvas")!.getAttribute("aria-hidden")).toBe("true");
    expect(lines()[0]!.textContent).toBe("<b>x</b>");
  });

  it("stays closed while it is switched off", () => {
    make();
    menu.button.disabled = true;
    press(menu.button, "ArrowDown");
    expect(menu.open).toBe(false);
    menu.button.disabled = false;
    menu.button.click();
    menu.button.disabled = true; // while it is open
    lines()[0]!.click();
    expect(picked).toEqual([]);
    expect(menu.open).toBe(false);
  });
});

describe("by keys, a menu", () => {
  it("opens by an arrow at what is chosen", () => {
    for (const key of ["ArrowDown", "ArrowUp"]) {
      make();
      menu.button.focus();
      press(menu.button, key);
      expect(menu.open).toBe(true);
      expect(active()).toBe("banana");
      expect(document.activeElement).toBe(list());
      root.replaceChildren();
    }
  });

  it("lets those in who come back to its button", () => {
    make("Search fruit");
    menu.button.click();
    menu.button.focus();
    expect(menu.open).toBe(true);
    press(menu.button, "ArrowDown");
    expect(document.activeElement).toBe(search());
  });

  it("goes up and down, to the ends, and takes by Enter or by a space", () => {
    make();
    menu.button.click();
    const went = ["ArrowDown", "ArrowDown", "Home", "ArrowUp", "PageDown", "PageUp", "End"].map((key) => {
      press(list(), key);
      return active();
    });
    expect(went).toEqual(["cherry", "cherry", "apple", "apple", "cherry", "apple", "cherry"]);
    press(list(), " ");
    menu.button.click();
    press(list(), "Home");
    press(list(), "Enter");
    expect(picked).toEqual(["cherry", "apple"]);
    expect(document.activeElement).toBe(menu.button);
    expect(heard).toEqual([]);
  });

  it("goes to the next line that begins with a letter, round and round", () => {
    make();
    menu.button.click();
    const went = ["a", "A", "a", "c", "x"].map((key) => {
      press(list(), key);
      return active();
    });
    expect(went).toEqual(["apple", "apricot", "apple", "cherry", "cherry"]);
    expect(heard).toEqual([]);
  });

  it("closes by Escape, which gives the focus back and which nobody else hears", () => {
    for (const label of [undefined, "Search fruit"]) {
      make(label);
      menu.button.click();
      press(document.activeElement!, "Escape");
      expect(menu.open).toBe(false);
      expect(document.activeElement).toBe(menu.button);
      expect(heard).toEqual([]);
      press(menu.button, "Escape"); // this one is the notebook's
      expect(heard).toEqual(["Escape"]);
      expect(picked).toEqual([]);
      heard.length = 0;
      root.replaceChildren();
    }
  });

  it("leaves the notebook's combinations alone", () => {
    make();
    menu.button.click();
    press(list(), "Enter", { shiftKey: true });
    press(list(), "s", { ctrlKey: true });
    press(list(), "c", { metaKey: true });
    expect(picked).toEqual([]);
    expect(active()).toBe("banana");
    expect(heard).toEqual(["Enter", "s", "c"]);
  });
});

describe("the search of a menu", () => {
  it("leaves the lines that hold what was typed, and Enter takes the first", () => {
    make("Search fruit");
    menu.button.click();
    expect(document.activeElement).toBe(search());
    expect(search().getAttribute("aria-label")).toBe("Search fruit");
    write("AP");
    expect(lines().map(({ dataset }) => dataset.value)).toEqual(["apple", "apricot"]);
    expect(active()).toBe("apple");
    press(search(), "ArrowDown");
    expect(active()).toBe("apricot");
    press(search(), "Enter");
    expect(picked).toEqual(["apricot"]);
    menu.button.click(); // forgotten by the next time
    expect(search().value).toBe("");
    expect(lines()).toHaveLength(4);
  });

  it("has first what is called so, or has that number, then what begins so", () => {
    const items = ["espresso maker", "an espresso", "Espresso", "espresso cup"].map((label, i) => ({
      value: String(i),
      label,
    }));
    make("Search fruit", items, "0");
    menu.button.click();
    write("espresso");
    expect(lines().map(({ dataset }) => dataset.value)).toEqual(["2", "0", "3", "1"]);
    expect(active()).toBe("2");
    write("3");
    expect(lines().map(({ dataset }) => dataset.value)).toEqual(["3"]);
  });

  it("types letters, spaces, Home and End instead of moving by them", () => {
    make("Search fruit");
    menu.button.click();
    for (const key of ["c", " ", "Home", "End"]) press(search(), key);
    expect(active()).toBe("banana");
    expect(picked).toEqual([]);
    expect(heard).toEqual([]);
  });

  it("says when there is nothing, and then takes nothing", () => {
    make("Search fruit");
    menu.button.click();
    write("zucchini");
    expect(rest().hidden).toBe(false);
    expect(rest().textContent).toBe("Nothing found");
    expect(search().getAttribute("aria-activedescendant")).toBeNull();
    press(search(), "Enter");
    expect(picked).toEqual([]);
    expect(menu.open).toBe(true);
    write("");
    expect(rest().hidden).toBe(true);
    expect(active()).toBe("banana");
  });

  it("of a thousand shows two hundred, says how many more there are, and finds the others", () => {
    make("Search classes", THOUSAND, "999");
    menu.button.click();
    expect(lines()).toHaveLength(200);
    expect(rest().textContent).toBe("800 more: type to find them");
    expect(active()).toBe("0"); // what is chosen is not among them
    write("99");
    expect(lines()).toHaveLength(19); // 99, 199, … 999, and 990 to 998
    expect([lines()[0]!, lines()[18]!].map(({ dataset }) => dataset.value)).toEqual(["99", "999"]);
    expect(rest().hidden).toBe(true);
    press(search(), "End"); // the cursor's
    for (let i = 0; i < 30; i++) press(search(), "ArrowDown");
    press(search(), "Enter");
    expect(picked).toEqual(["999"]);
  });
});

describe("a menu whose lines change while it is open", () => {
  it("leaves the keys where they are", () => {
    make();
    menu.button.click();
    press(list(), "End");
    menu.show([{ value: "fig", label: "Fig" }, ...FRUIT], "banana");
    expect(lines()).toHaveLength(5);
    expect(active()).toBe("cherry");
    menu.show(FRUIT.slice(0, 3), "banana");
    expect(active()).toBe("banana"); // that line is gone: to what is chosen
  });

  it("does nothing anew where nothing has changed", () => {
    make();
    menu.button.click();
    const before = lines();
    menu.show(FRUIT, "banana");
    expect(lines()).toEqual(before);
  });
});
