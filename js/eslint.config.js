import js from "@eslint/js";
import { defineConfig } from "eslint/config";
import tseslint from "typescript-eslint";

export default defineConfig(
  { ignores: ["node_modules/"] },
  js.configs.recommended,
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      eqeqeq: "error",
      // Numbers are written into labels all the time; the other types stay forbidden there.
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      // Index access is checked by the compiler (noUncheckedIndexedAccess); pixel loops say so with `!`.
      "@typescript-eslint/no-non-null-assertion": "off",
    },
  },
  {
    // The build script and these configuration files run in Node.
    files: ["*.js", "*.mjs"],
    languageOptions: { globals: { console: "readonly", process: "readonly" } },
  },
);
