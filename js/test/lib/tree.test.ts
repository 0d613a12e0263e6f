import { beforeEach, describe, expect, it } from "vitest";
import { linkNodes, Tree } from "../../src/lib/tree";

/*
 0 Input
 1 net
 2   stem
 3     conv
 4     act
 5   blocks
 6     0
 7       conv
 8   fc
*/
const ITEMS = [
  ["Input", 0],
  ["net", 0],
  ["stem", 1],
  ["conv", 2],
  ["act", 2],
  ["blocks", 1],
  ["0", 2],
  ["conv", 3],
  ["fc", 1],
] as const;

let tree: Tree;
const labels = (): string[] => tree.visible().map((i) => tree.nodes[i]!.label);
/** Presses keys as the layers part does; gives what the last one asked for. */
function press(...keys: string[]): ReturnType<Tree["key"]> {
  let action: ReturnType<Tree["key"]>;
  for (const key of keys) {
    action = tree.key(key, time++);
    if (action?.toggle !== undefined) tree.setExpanded(action.toggle, !tree.isExpanded(action.toggle));
    if (action?.focus !== undefined) tree.focus = action.focus;
  }
  return action;
}
let time = 0;

beforeEach(() => {
  tree = new Tree(linkNodes(ITEMS.map(([label, level]) => ({ label, text: label, level }))));
});

describe("links", () => {
  it("parents, levels and children from levels", () => {
    expect(tree.nodes.map(({ parent }) => parent)).toEqual([-1, -1, 1, 2, 2, 1, 5, 6, 1]);
    expect(tree.nodes.map(({ level }) => level)).toEqual([1, 1, 2, 3, 3, 2, 3, 4, 2]);
    expect(tree.nodes[1]!.children).toEqual([2, 5, 8]);
  });

  it("a jump in level is one step", () => {
    const nodes = linkNodes([
      { label: "a", text: "a", level: 0 },
      { label: "b", text: "b", level: 5 },
      { label: "c", text: "c", level: 1 },
    ]);
    expect(nodes.map(({ level }) => level)).toEqual([1, 2, 2]);
  });
});

describe("arrows", () => {
  it("right opens, then goes to the first child, then stays", () => {
    tree.focus = 1;
    expect(labels()).toEqual(["Input", "net"]);
    press("ArrowRight");
    expect(labels()).toEqual(["Input", "net", "stem", "blocks", "fc"]);
    expect(tree.focus).toBe(1);
    press("ArrowRight");
    expect(tree.focus).toBe(2);
    tree.focus = 8;
    expect(press("ArrowRight")).toEqual({});
  });

  it("left closes, then goes to the parent", () => {
    tree.focus = 1;
    press("ArrowRight", "ArrowRight", "ArrowRight", "ArrowDown");
    expect(tree.focus).toBe(3);
    press("ArrowLeft");
    expect(tree.focus).toBe(2);
    press("ArrowLeft");
    expect(labels()).not.toContain("conv");
    press("ArrowLeft");
    expect(tree.focus).toBe(1);
    tree.focus = 0;
    expect(press("ArrowLeft")).toEqual({});
  });

  it("up and down stop at the ends, Home and End go there", () => {
    tree.setExpanded(1, true);
    press("ArrowUp");
    expect(tree.focus).toBe(0);
    press("End");
    expect(tree.focus).toBe(8);
    press("ArrowDown");
    expect(tree.focus).toBe(8);
    press("ArrowUp");
    expect(tree.focus).toBe(5);
    press("Home");
    expect(tree.focus).toBe(0);
  });

  it("a page is ten rows", () => {
    tree.reveal(7);
    tree.reveal(3);
    press("PageDown");
    expect(tree.focus).toBe(8);
    press("PageUp");
    expect(tree.focus).toBe(0);
  });
});

describe("other keys", () => {
  it("Enter and Space pick", () => {
    tree.focus = 1;
    expect(press("Enter")).toEqual({ pick: 1 });
    expect(press(" ")).toEqual({ pick: 1 });
  });

  it("a star opens all siblings", () => {
    tree.reveal(2);
    tree.focus = 8;
    press("*");
    expect(labels()).toEqual(["Input", "net", "stem", "conv", "act", "blocks", "0", "fc"]);
  });

  it("Escape, Tab and function keys mean nothing", () => {
    for (const key of ["Escape", "Tab", "F5", "Shift"]) expect(tree.key(key, time)).toBeUndefined();
  });
});

describe("type-ahead", () => {
  beforeEach(() => {
    for (const i of [1, 2, 5, 6]) tree.setExpanded(i, true);
  });

  it("goes to the next label with that letter, round the end, and on with the same letter again", () => {
    press("c");
    expect(tree.focus).toBe(3);
    press("c");
    expect(tree.focus).toBe(7);
    press("c");
    expect(tree.focus).toBe(3);
  });

  it("takes several letters quickly typed as one word", () => {
    tree.focus = 3;
    press("s", "t");
    expect(tree.focus).toBe(2);
    time += 10_000;
    press("F", "c");
    expect(tree.focus).toBe(8);
  });

  it("forgets after a pause, and stays where nothing fits", () => {
    press("s");
    time += 10_000;
    press("b");
    expect(tree.focus).toBe(5);
    time += 10_000;
    expect(press("q")).toEqual({});
    expect(tree.focus).toBe(5);
  });

  it("sees only what is on show", () => {
    tree.setExpanded(6, false);
    tree.focus = 3;
    press("c");
    expect(tree.focus).toBe(3);
  });
});

describe("search", () => {
  it("keeps the ancestors of what it finds, opened", () => {
    tree.search("CONV");
    expect(labels()).toEqual(["net", "stem", "conv", "blocks", "0", "conv"]);
    expect(tree.visible().filter((i) => tree.matches(i))).toEqual([3, 7]);
    expect(tree.isExpanded(5)).toBe(true);
    expect(tree.isExpanded(3)).toBe(false);
  });

  it("looks into the text, underlines by the label", () => {
    const other = new Tree(
      linkNodes([
        { label: "stem", text: "stem Sequential", level: 0 },
        { label: "conv", text: "stem.conv Conv2d", level: 1 },
      ]),
    );
    other.search("stem");
    expect([0, 1].map((i) => other.matches(i))).toEqual([true, true]);
    expect([0, 1].map((i) => other.found(i))).toEqual([true, false]);
  });

  it("lets the tree be as it was when it ends", () => {
    tree.setExpanded(1, true);
    const before = labels();
    tree.search("conv");
    tree.search("  ");
    expect(labels()).toEqual(before);
    expect(tree.matches(0)).toBe(true);
    expect(tree.found(0)).toBe(false);
  });

  it("may find nothing", () => {
    tree.search("zzz");
    expect(labels()).toEqual([]);
    expect(tree.key("ArrowDown", time)).toBeUndefined();
  });
});
