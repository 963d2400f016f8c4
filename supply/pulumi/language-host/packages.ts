/** Finds the Pulumi packages that a program depends on, and so the plugins that it needs. */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";

/** A Pulumi package that a program depends on. */
export interface PulumiPackage {
  name: string;
  version: string;
  server?: string;
}

/** Every package in node_modules, from the program's directory upwards, that declares a Pulumi resource provider. */
export function pulumiPackages(programDirectory: string): PulumiPackage[] {
  const found = new Map<string, PulumiPackage>();
  const visit = (directory: string): void => {
    const file = join(directory, "package.json");
    if (!existsSync(file)) return;
    const manifest = JSON.parse(readFileSync(file, "utf8")) as {
      name?: string;
      version?: string;
      pulumi?: { resource?: boolean; name?: string; version?: string; server?: string };
    };
    if (!manifest.pulumi?.resource) return;
    const name = manifest.pulumi.name ?? (manifest.name ?? "").replace(/^@pulumi\//, "");
    const version = (manifest.pulumi.version ?? manifest.version ?? "").replace(/^v/, "");
    found.set(`${name}@${version}`, {
      name,
      version,
      ...(manifest.pulumi.server ? { server: manifest.pulumi.server } : {}),
    });
  };
  for (let directory = programDirectory; ; directory = dirname(directory)) {
    const modules = join(directory, "node_modules");
    for (const entry of existsSync(modules) ? readdirSync(modules) : []) {
      if (entry.startsWith("@"))
        for (const scoped of readdirSync(join(modules, entry))) visit(join(modules, entry, scoped));
      else if (!entry.startsWith(".")) visit(join(modules, entry));
    }
    if (directory === dirname(directory)) return [...found.values()];
  }
}
