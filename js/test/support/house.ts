/** The rules of the house, as plain functions over sources: what imports what, and how long things are. */
import ts from "typescript";

/** The folders of the page from the top down: a file may import from its own folder and from those below. */
export const ORDER: readonly (readonly string[])[] = [
  [""],
  ["cards", "overlay", "stages", "layers", "inside", "trust"],
  ["controls"],
  ["selection"],
  ["data"],
  ["state"],
  ["lib"],
];

/** Sources by their path below `src`, such as "lib/dom.ts". */
export type Sources = Readonly<Record<string, string>>;
type Graph = ReadonlyMap<string, readonly string[]>;

const parse = (path: string, text: string): ts.SourceFile =>
  ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);

/** The file that a specifier such as "../lib/dom" stands for. */
function resolve(from: string, specifier: string): string {
  const parts = from.split("/").slice(0, -1);
  for (const step of specifier.split("/")) {
    if (step === "..") parts.pop();
    else if (step !== ".") parts.push(step);
  }
  return `${parts.join("/")}.ts`;
}

/** Which files each file imports from or passes on, types too. */
export function importGraph(sources: Sources): Graph {
  const graph = new Map<string, string[]>();
  for (const [path, text] of Object.entries(sources)) {
    const found: string[] = [];
    const visit = (node: ts.Node): void => {
      const from =
        ts.isImportDeclaration(node) || ts.isExportDeclaration(node)
          ? node.moduleSpecifier
          : ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword
            ? node.arguments[0]
            : ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)
              ? node.argument.literal
              : undefined;
      if (from && ts.isStringLiteral(from) && from.text.startsWith(".")) found.push(resolve(path, from.text));
      ts.forEachChild(node, visit);
    };
    visit(parse(path, text));
    graph.set(path, found);
  }
  return graph;
}

/** The first circle of imports as its files, beginning and ending with the same one; undefined when there is none. */
export function circle(graph: Graph): string[] | undefined {
  const done = new Set<string>();
  const walk = (path: string, above: readonly string[]): string[] | undefined => {
    const again = above.indexOf(path);
    if (again >= 0) return [...above.slice(again), path];
    if (done.has(path)) return undefined;
    for (const next of graph.get(path) ?? []) {
      const found = walk(next, [...above, path]);
      if (found) return found;
    }
    done.add(path);
    return undefined;
  };
  for (const path of graph.keys()) {
    const found = walk(path, []);
    if (found) return found;
  }
  return undefined;
}

const folderOf = (path: string): string => path.split("/").slice(0, -1).join("/");
const floorOf = (path: string): number => ORDER.findIndex((floor) => floor.includes(folderOf(path)));

/** Imports that run up, or across between folders on one floor, and files in folders that have no place. */
export function wrongImports(graph: Graph): string[] {
  const wrong: string[] = [];
  for (const [path, targets] of graph) {
    if (floorOf(path) < 0) wrong.push(`${path} is in a folder without a place in the order`);
    for (const target of targets) {
      const own = folderOf(path) === folderOf(target);
      if (!own && floorOf(target) <= floorOf(path)) wrong.push(`${path} imports ${target}`);
    }
  }
  return wrong;
}

/** Functions, methods and closures of more lines than that, as "path: name, 71 lines". */
export function longFunctions(sources: Sources, most: number): string[] {
  const long: string[] = [];
  for (const [path, text] of Object.entries(sources)) {
    const file = parse(path, text);
    const lineOf = (position: number): number => file.getLineAndCharacterOfPosition(position).line;
    const visit = (node: ts.Node): void => {
      if (ts.isFunctionLike(node) && "body" in node && node.body) {
        const lines = lineOf(node.getEnd()) - lineOf(node.getStart(file)) + 1;
        const name = node.name?.getText(file) ?? "a closure";
        if (lines > most) long.push(`${path}: ${name}, ${lines} lines`);
      }
      ts.forEachChild(node, visit);
    };
    visit(file);
  }
  return long;
}

/** Files of more lines than that. */
export function longFiles(sources: Sources, most: number): string[] {
  return Object.entries(sources).flatMap(([path, text]) => {
    const lines = text.replace(/\n$/, "").split("\n").length;
    return lines > most ? [`${path}, ${lines} lines`] : [];
  });
}
