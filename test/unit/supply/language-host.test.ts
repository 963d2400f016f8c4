/** How the language host finds the Pulumi packages of a program. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { pulumiPackages } from "../../../supply/pulumi/language-host/packages";
import { checkout, plugins, sdkVersion } from "../../../supply/pulumi/versions";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "kfs-packages-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

function install(path: string, manifest: object): void {
  const file = join(directory, path, "package.json");
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, JSON.stringify(manifest));
}

describe("the Pulumi packages of a program", () => {
  it("include those of this project", () => {
    const found = pulumiPackages(checkout);
    for (const plugin of plugins)
      expect(found).toContainEqual(expect.objectContaining({ name: plugin, version: sdkVersion(plugin) }));
  });

  it("are found by their package.json, in node_modules of the directory and its parents", () => {
    install("node_modules/@pulumi/aws", { name: "@pulumi/aws", version: "6.0.0", pulumi: { resource: true } });
    install("node_modules/renamed", {
      name: "x",
      version: "1.0.0",
      pulumi: { resource: true, name: "own", version: "v2.0.0", server: "https://s" },
    });
    install("node_modules/ordinary", { name: "ordinary", version: "1.0.0" });
    install("node_modules/@pulumi/sdk", { name: "@pulumi/sdk", version: "1.0.0", pulumi: {} });
    mkdirSync(join(directory, "program/node_modules/no-manifest"), { recursive: true });
    expect(pulumiPackages(join(directory, "program"))).toEqual([
      { name: "aws", version: "6.0.0" },
      { name: "own", version: "2.0.0", server: "https://s" },
    ]);
  });
});
