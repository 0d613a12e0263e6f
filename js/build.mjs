// Builds the page bundle that the Python package ships: src/attriscope/widget/static.
//
//   node build.mjs                  minified, as it is committed
//   node build.mjs --outdir DIR     the same files somewhere else (the tests compare them with the committed ones)
//   node build.mjs --watch          not minified, with inline source maps, rebuilt on every change: never commit these
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import * as esbuild from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const { values: args } = parseArgs({
  options: {
    outdir: { type: "string", default: join(here, "../src/attriscope/widget/static") },
    watch: { type: "boolean", default: false },
  },
});
const outdir = resolve(args.outdir);
const outputs = ["widget.js", "widget.css"];

const sha256 = (data) => createHash("sha256").update(data).digest("hex");

/** Everything the bundle is made from, as paths relative to js/, hidden files left out. */
function sources() {
  const inSrc = readdirSync(join(here, "src"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith("."))
    .map((entry) => relative(here, join(entry.parentPath, entry.name)).split(sep).join("/"));
  return [...inSrc, "build.mjs", "package-lock.json", "tsconfig.json"].sort();
}

/** One hash over all sources; tests/house/test_checks.py computes the same without Node. */
function sourceHash() {
  return sha256(
    sources()
      .map((path) => `${sha256(readFileSync(join(here, path)))}  ${path}\n`)
      .join(""),
  );
}

/**
 * A host loads the bundle anew for every widget, and a page never lets go of a module. So that a hundred Explorers made
 * in turn do not hold a hundred compiled copies, the first one of a build is run, and handed to those that come after.
 * @returns {esbuild.BuildOptions}
 */
function shared() {
  if (args.watch) return { format: "esm" };
  const place = `globalThis[Symbol.for("attriscope ${sourceHash().slice(0, 16)}")]`;
  return {
    format: "iife",
    globalName: "page",
    banner: { js: `export default ${place} ??= (() => {` },
    footer: { js: "return page.default;\n})();" },
  };
}

/** @type {esbuild.BuildOptions} */
const options = {
  absWorkingDir: here,
  entryPoints: { widget: "src/index.ts" },
  outdir,
  bundle: true,
  ...shared(),
  target: "es2022",
  minify: !args.watch,
  sourcemap: args.watch ? "inline" : false,
  legalComments: "none",
  // A browser keeps text with any letter beyond Latin-1 at two bytes a letter, and keeps it once for every widget.
  charset: "ascii",
  logLevel: "info",
};
/** @type {esbuild.BuildOptions} */
const styles = {
  ...options,
  entryPoints: { widget: "src/styles.css" },
  format: undefined,
  globalName: undefined,
  banner: undefined,
  footer: undefined,
};

mkdirSync(outdir, { recursive: true });
const manifest = join(outdir, "BUNDLE.json");
if (args.watch) {
  // What is being watched is no release build, so nothing may vouch for it.
  rmSync(manifest, { force: true });
  for (const one of [options, styles]) await (await esbuild.context(one)).watch();
} else {
  await Promise.all([esbuild.build(options), esbuild.build(styles)]);
  const files = Object.fromEntries(outputs.map((name) => [name, sha256(readFileSync(join(outdir, name)))]));
  writeFileSync(manifest, JSON.stringify({ sources: sourceHash(), files }, null, 2) + "\n");
}
