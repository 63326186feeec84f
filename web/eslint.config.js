import importX from "eslint-plugin-import-x";
import hooks from "eslint-plugin-react-hooks";
import tseslint from "typescript-eslint";

/** The order of folders: each may take from those after it, never from those before it or beside it. */
const ORDER = [["app"], ["routes"], ["features"], ["live"], ["charts", "period"], ["ui"], ["api", "lib", "language"]];

const zones = ORDER.flatMap((folders, at) =>
  folders.map((folder) => ({
    target: `./src/${folder}`,
    from: [...ORDER.slice(0, at).flat(), "testing"].map((upper) => `./src/${upper}`),
    message: "Imports go down only: app > routes > features > live > charts, period > ui > api, lib, language.",
  })),
);

/** Features do not know each other: a route puts them together. Within a feature imports are relative. */
const strangers = {
  group: ["~/features/*", "../../*"],
  message: "A feature knows no other one; write ./ within it, and ~/folder/ for what lies below.",
};

export default tseslint.config(
  { ignores: ["node_modules", "src/api/schema.d.ts"] },
  ...tseslint.configs.recommended,
  {
    files: ["src/**/*.{ts,tsx}"],
    plugins: { "import-x": importX, "react-hooks": hooks },
    settings: { "import-x/resolver": { typescript: { project: "./tsconfig.json" } } },
    rules: {
      ...hooks.configs.recommended.rules,
      "import-x/no-cycle": "error",
      "import-x/no-default-export": "error",
      "max-lines": ["error", { max: 250, skipBlankLines: true }],
      complexity: ["error", 12],
      "@typescript-eslint/consistent-type-imports": "error",
      "no-console": "error",
    },
  },
  {
    files: ["src/**/*.{ts,tsx}"],
    ignores: ["src/**/*.test.{ts,tsx}"],
    rules: { "import-x/no-restricted-paths": ["error", { zones }] },
  },
  { files: ["src/features/**/*.{ts,tsx}"], rules: { "no-restricted-imports": ["error", { patterns: [strangers] }] } },
);
