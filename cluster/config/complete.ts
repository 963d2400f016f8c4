/** Completes a stack's values with the project's defaults, for code that reads them without Pulumi's engine. */
import type { RawConfig } from ".";

/** The part of Pulumi.yaml that describes the configuration. */
export interface ProjectFile {
  readonly config: Readonly<
    Record<string, { readonly type: string; readonly default: unknown; readonly description: string }>
  >;
}

const text = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));

/** Values by key, without the namespace, complete and as text, as the engine would pass them to the program. */
export function completeConfig(project: ProjectFile, values: Readonly<Record<string, unknown>>): RawConfig {
  const defaults = Object.entries(project.config).map(([key, entry]) => [key, entry.default] as const);
  return Object.fromEntries([...defaults, ...Object.entries(values)].map(([key, value]) => [key, text(value)]));
}
