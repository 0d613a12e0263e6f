import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    environment: "happy-dom",
    include: ["test/**/*.test.ts"],
    restoreMocks: true,
    // One environment per worker, not per file: three times faster. Each test clears the document it draws in.
    isolate: false,
    // The house test reads style sheets as text; vitest would give empty ones.
    css: true,
    // A page half with no test at all is a mistake worth hearing about.
    passWithNoTests: false,
  },
});
