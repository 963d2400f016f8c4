/** The only reader of Pulumi's configuration. Every fault is found at once, before the first resource. */
import * as pulumi from "@pulumi/pulumi";
import type { ApiEndpointKind } from "../spec";
import { didYouMean, fields, type Fields } from "./fields";
import { brokenRules, type Fault } from "./rules";

export type { Fault } from "./rules";

/** The configuration, checked and complete. */
export type Config = Omit<Fields, "apiEndpoint"> & { readonly apiEndpoint: ApiEndpointKind };

/** Values as Pulumi hands them to a program: text by key, without the namespace; objects as JSON. */
export type RawConfig = Readonly<Record<string, string>>;

export interface ConfigSource {
  /** Name of the stack, which names the cluster unless clusterName is set. */
  readonly stack: string;
  /** Keys whose values are encrypted in the stack's file. */
  readonly secretKeys?: readonly string[];
}

/** Keys whose values must never be shown. */
const secrets: readonly string[] = ["encryptionKey"];

/** Checks a whole configuration: either all of it is good, or every fault is listed. Pure, but for the SSH key's file. */
export function parseConfig(raw: RawConfig, source: ConfigSource): { config: Config } | { faults: Fault[] } {
  const given: RawConfig = { ...raw, clusterName: raw["clusterName"] || source.stack };
  const faults: Fault[] = unknownKeys(given);
  const values: Record<string, unknown> = {};
  for (const [key, schema] of Object.entries(fields)) {
    const parsed = schema.safeParse(given[key] ?? "");
    if (parsed.success) values[key] = parsed.data;
    else
      for (const issue of parsed.error.issues) {
        const { remedy } = (issue as { params?: { remedy?: string } }).params ?? {};
        faults.push({ key, value: shown(key, given), problem: issue.message, remedy: remedy ?? "" });
      }
  }
  for (const key of secrets)
    if (given[key] && !source.secretKeys?.includes(key))
      faults.push({
        key,
        problem: "is kept as plain text in the stack's file.",
        remedy: `Make a new one and keep it encrypted: head -c 32 /dev/urandom | base64 | pulumi config set --secret ${key}`,
      });
  for (const broken of brokenRules(values as Partial<Fields>))
    faults.push({ ...broken, value: shown(broken.key, given) });
  if (faults.length > 0) return { faults };

  const parsed = values as Fields;
  return {
    config: { ...parsed, apiEndpoint: parsed.apiEndpoint ?? (parsed.controlPlaneCount === 1 ? "elastic-ip" : "nlb") },
  };
}

const shown = (key: string, given: RawConfig): string | undefined =>
  secrets.includes(key) || !given[key] ? undefined : given[key];

function unknownKeys(given: RawConfig): Fault[] {
  const known = Object.keys(fields);
  return Object.keys(given)
    .filter((key) => !known.includes(key))
    .map((key) => ({
      key,
      value: shown(key, given),
      problem: "is no key of this program.",
      remedy: `Remove it: pulumi config rm ${key}.${nearKey(key, known)}`,
    }));
}

function nearKey(key: string, known: readonly string[]): string {
  const lower = new Map(known.map((name) => [name.toLowerCase(), name]));
  return didYouMean(key, [...lower.keys()]).replace(/mean (.*)\?/, (_, near: string) => `mean ${lower.get(near)}?`);
}

/** The faults as a text for the user. */
export function formatFaults(faults: readonly Fault[], stack: string): string {
  const many = faults.length === 1 ? "1 fault" : `${faults.length} faults`;
  const list = faults.map(
    ({ key, value, problem, remedy }) => `  ${key}${value ? ` = ${value}` : ""}\n    ${problem}\n    ${remedy}`,
  );
  return `The configuration of stack ${stack} has ${many}; nothing was changed.\n\n${list.join("\n\n")}\n`;
}

/**
 * Reads the stack's configuration.
 * @throws pulumi.RunError that lists every fault; Pulumi prints it without a stack trace and exits with an error.
 */
export function readConfig(): Config {
  const stack = pulumi.getStack();
  const prefix = `${pulumi.getProject()}:`;
  const ours = Object.entries(pulumi.runtime.allConfig()).filter(([key]) => key.startsWith(prefix));
  const raw = Object.fromEntries(ours.map(([key, value]) => [key.slice(prefix.length), value]));
  const secretKeys = Object.keys(raw).filter((key) => isConfigSecret(prefix + key));
  const result = parseConfig(raw, { stack, secretKeys });
  if ("faults" in result) throw new pulumi.RunError(formatFaults(result.faults, stack));
  return result.config;
}

/** Whether a key is encrypted in the stack's file. The SDK has this, but not in its typings. */
const { isConfigSecret } = pulumi.runtime as unknown as { isConfigSecret: (key: string) => boolean };
