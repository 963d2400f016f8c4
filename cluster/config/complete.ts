/** Completes a stack's values with the project's defaults, for those who read them without the engine. */
import type { RawConfig } from ".";

/** The part of Pulumi.yaml that describes the configuration. */
export interface ProjectFile {
  readonly config: Readonly<
    Record<string, { readonly type: string; readonly default: unknown; readonly description: string }>
  >;
}

const text = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));

/** Values by key, without the namespace, as the engine would hand them to the program: complete and as text. */
export function completeConfig(project: ProjectFile, values: Readonly<Record<string, unknown>>): RawConfig {
  const defaults = Object.entries(project.config).map(([key, entry]) => [key, entry.default] as const);
  return Object.fromEntries([...defaults, ...Object.entries(values)].map(([key, value]) => [key, text(value)]));
}
