// @vitest-environment node
/// <reference types="vite/client" />
/** The house: imports run one way and never in a circle, and nothing is too long to be read at once. */
import { describe, expect, it } from "vitest";
import { circle, importGraph, longFiles, longFunctions, type Sources, wrongImports } from "./support/house";

const MOST_LINES_OF_A_FILE = 450;
const MOST_LINES_OF_A_FUNCTION = 70;

const read = (found: Record<string, string>, root: string): Sources =>
  Object.fromEntries(Object.entries(found).map(([path, text]) => [path.slice(root.length), text]));
const source = read(
  import.meta.glob<string>("../src/**/*.ts", { query: "?raw", import: "default", eager: true }),
  "../src/",
);
const styles = read(
  import.meta.glob<string>("../src/**/*.css", { query: "?raw", import: "default", eager: true }),
  "../src/",
);
const tests = read(
  import.meta.glob<string>("./**/*.ts", { query: "?raw", import: "default", eager: true }),
  "./",
);

// Once for all tests, and in no test's time: it parses every file.
const graph = importGraph(source);

describe("the page half", () => {
  it("is looked at", () => {
    expect(source["index.ts"]).toContain("export default");
    expect(styles["styles.css"]).toContain("@import");
    expect(tests["page.test.ts"]).toContain("describe(");
    expect(graph.get("index.ts")).toContain("lib/dom.ts");
  });

  it("imports from every file that it names", () => {
    for (const targets of graph.values()) {
      for (const target of targets) expect(source).toHaveProperty([target]);
    }
  });

  it("has no circle of imports", () => {
    expect(circle(graph)).toBeUndefined();
  });

  it("imports from below only", () => {
    expect(wrongImports(graph)).toEqual([]);
  });

  it("has no function that is too long", () => {
    expect(longFunctions(source, MOST_LINES_OF_A_FUNCTION)).toEqual([]);
  });

  it("has no file that is too long", () => {
    const written = Object.entries(source).filter(([path]) => !path.endsWith(".generated.ts")); // nobody reads those
    for (const files of [Object.fromEntries(written), styles, tests]) {
      expect(longFiles(files, MOST_LINES_OF_A_FILE)).toEqual([]);
    }
  });
});

describe("the rules", () => {
  it("find a circle, whatever kind of import closes it", () => {
    const closing = (last: string): Sources => ({
      "lib/a.ts": 'import { b } from "./b";',
      "lib/b.ts": 'export { c } from "../lib/c";',
      "lib/c.ts": last,
    });
    for (const last of [
      'import type { A } from "./a";',
      'export * from "./a";',
      'const a = import("./a");',
      'type A = import("./a").A;',
    ]) {
      expect(circle(importGraph(closing(last)))).toEqual(["lib/a.ts", "lib/b.ts", "lib/c.ts", "lib/a.ts"]);
    }
    expect(circle(importGraph(closing('import "vitest"; // from "./a"')))).toBeUndefined();
    expect(circle(importGraph({ "lib/a.ts": 'import "./a";' }))).toEqual(["lib/a.ts", "lib/a.ts"]);
  });

  it("find an import that runs up, or to the next room, and a folder that nobody planned", () => {
    const rooms: Sources = {
      "index.ts": 'import "./overlay/stage";',
      "overlay/stage.ts": 'import "../layers/row"; import "../lib/dom"; import "./legend";',
      "overlay/legend.ts": "",
      "layers/row.ts": 'import "../state/state";',
      "state/state.ts": 'import "../data/messages"; import "../index";',
      "data/messages.ts": "",
      "lib/dom.ts": "",
      "misc/rest.ts": "",
    };
    expect(wrongImports(importGraph(rooms))).toEqual([
      "overlay/stage.ts imports layers/row.ts",
      "state/state.ts imports data/messages.ts",
      "state/state.ts imports index.ts",
      "misc/rest.ts is in a folder without a place in the order",
    ]);
  });

  it("find what is too long, closures and methods too", () => {
    const body = "  x;\n".repeat(3);
    const text = `function f() {\n${body}}\nconst g = () => {\n${body}};\nclass A {\n  m() {\n${body}  }\n}\nf();\n`;
    expect(longFunctions({ "a.ts": text }, 5)).toEqual([]);
    expect(longFunctions({ "a.ts": text }, 4)).toEqual([
      "a.ts: f, 5 lines",
      "a.ts: a closure, 5 lines",
      "a.ts: m, 5 lines",
    ]);
    expect(longFiles({ "a.ts": "1\n2\n3\n", "b.ts": "1\n2\n" }, 2)).toEqual(["a.ts, 3 lines"]);
  });
});
