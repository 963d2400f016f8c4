/** The rules of .dependency-cruiser.cjs bite: each of them reports a tree of files that breaks it. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";

const root = resolve(__dirname, "../..");
const config = join(root, ".dependency-cruiser.cjs");
// eslint-disable-next-line @typescript-eslint/no-require-imports
const { forbidden } = require(config) as { forbidden: { name: string }[] };

/** Files that break every rule once: path -> what it imports. */
const broken: Readonly<Record<string, string>> = {
  "lib/a.ts": "../cluster/b",
  "cluster/a.ts": "../infra/a",
  "cluster/b.ts": "node:fs",
  "cluster/c.ts": "@pulumi/pulumi",
  "infra/a.ts": "../bootstrap/a",
  "bootstrap/a.ts": "../program/a",
  "program/a.ts": "../tools/a",
  "cloud/a.ts": "../cluster/b",
  "supply/a.ts": "../cloud/a",
  "labs/a.ts": "../tools/a",
  "labs/b.ts": "../test/a",
  "tools/a.ts": "../program/b",
  "tools/b.ts": "../labs/c",
  "program/b.ts": "./c",
  "program/c.ts": "./b",
  "labs/c.ts": "node:path",
  "test/a.ts": "node:path",
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "floors-"));
  for (const [path, imported] of Object.entries(broken)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), `import type { Name } from "${imported}";\nexport type Other = Name;\n`);
  }
  cpSync(join(root, "tsconfig.json"), join(folder, "tsconfig.json"));
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Report {
  readonly summary: { readonly violations: readonly { readonly rule: { readonly name: string } }[] };
}

it("each report the files that break them", () => {
  const folders = [...new Set(Object.keys(broken).map((path) => path.split("/")[0] ?? ""))];
  const report = JSON.parse(
    execFileSync(join(root, "node_modules/.bin/depcruise"), ["--config", config, "--output-type", "json", ...folders], {
      cwd: folder,
      encoding: "utf8",
      env: { ...process.env, PATH: `${root}/node_modules/.bin:${process.env["PATH"]}` },
    }),
  ) as Report;
  const reported = new Set(report.summary.violations.map(({ rule }) => rule.name));
  expect([...reported].sort()).toEqual(forbidden.map(({ name }) => name).sort());
});
