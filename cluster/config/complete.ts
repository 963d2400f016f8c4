/** Pulumi.yaml's defaults for whoever reads a stack's configuration without the engine: the driver and the tests. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import type { RawConfig } from ".";

interface ProjectFile {
  readonly config: Readonly<
    Record<string, { readonly type: string; readonly default: unknown; readonly description: string }>
  >;
}

export const projectFile = (): ProjectFile =>
  parse(readFileSync(join(__dirname, "../..", "Pulumi.yaml"), "utf8")) as ProjectFile;

const text = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));

/** A stack's values, by key without the namespace, as the engine would hand them to the program: complete and as text. */
export function completeConfig(values: Readonly<Record<string, unknown>>): RawConfig {
  const defaults = Object.entries(projectFile().config).map(([key, entry]) => [key, entry.default] as const);
  return Object.fromEntries([...defaults, ...Object.entries(values)].map(([key, value]) => [key, text(value)]));
}
