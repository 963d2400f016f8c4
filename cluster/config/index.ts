/** Checks a configuration as a whole: either all of it is valid, or all faults are reported together. */
import type { ApiEndpointKind } from "../shape";
import { didYouMean } from "./did-you-mean";
import { fields, type Fields } from "./fields";
import { brokenRules, type Fault } from "./rules";

export type { Fault } from "./rules";

/** The user's own SSH key. */
export interface SshKey {
  /** The private key, as in its file. */
  readonly privateKey: string;
  /** The public key in OpenSSH's one-line form, without a comment. */
  readonly publicKey: string;
}

/** The configuration, checked and complete. */
export type Config = Omit<Fields, "apiEndpoint" | "sshPrivateKeyFile"> & {
  readonly apiEndpoint: ApiEndpointKind;
  /** Undefined if one is to be created for the stack. */
  readonly sshKey?: SshKey;
};

/** Values as Pulumi passes them to a program, as text by key, without the namespace; objects are JSON. */
export type RawConfig = Readonly<Record<string, string>>;

export interface ConfigSource {
  /** Name of the stack, and of the cluster unless clusterName is set. */
  readonly stack: string;
  /** Keys whose values are encrypted in the stack's file. */
  readonly secretKeys?: readonly string[];
  /** Reads the file that sshPrivateKeyFile names, or returns what is wrong with it. */
  readonly readSshKey: (file: string) => SshKey | { readonly fault: string; readonly remedy: string };
}

/** Keys whose values must never be shown. */
const secrets: readonly string[] = ["encryptionKey"];

/** Checks a configuration. Pure, except for `readSshKey`. */
export function parseConfig(raw: RawConfig, source: ConfigSource): { config: Config } | { faults: Fault[] } {
  const given: RawConfig = { ...raw, clusterName: raw["clusterName"] || source.stack };
  const values: Record<string, unknown> = {};
  const faults = [...unknownKeys(given), ...invalidValues(given, values), ...plainSecrets(given, source)];
  for (const broken of brokenRules(values as Partial<Fields>))
    faults.push({ ...broken, value: shown(broken.key, given) });
  const { sshPrivateKeyFile: file, apiEndpoint, ...parsed } = values as Fields;
  const sshKey = file === undefined ? undefined : source.readSshKey(file);
  if (sshKey && "fault" in sshKey)
    faults.push({ key: "sshPrivateKeyFile", value: file, problem: `${sshKey.fault}.`, remedy: sshKey.remedy });
  if (faults.length > 0 || (sshKey && "fault" in sshKey)) return { faults };

  const usual = parsed.controlPlaneCount === 1 ? "elastic-ip" : "nlb";
  return { config: { ...parsed, apiEndpoint: apiEndpoint ?? usual, sshKey } };
}

const shown = (key: string, given: RawConfig): string | undefined =>
  secrets.includes(key) || !given[key] ? undefined : given[key];

const unknownKeys = (given: RawConfig): Fault[] =>
  Object.keys(given)
    .filter((key) => !(key in fields))
    .map((key) => ({
      key,
      value: shown(key, given),
      problem: "is not a configuration key of this program.",
      remedy: `Remove it: pulumi config rm ${key}.${didYouMean(key, Object.keys(fields))}`,
    }));

/** Reads every key into `values`; returns a fault for each that is not valid. */
function invalidValues(given: RawConfig, values: Record<string, unknown>): Fault[] {
  return Object.entries(fields).flatMap(([key, schema]) => {
    const parsed = schema.safeParse(given[key] ?? "");
    if (parsed.success) {
      values[key] = parsed.data;
      return [];
    }
    return parsed.error.issues.map((issue) => {
      const { remedy } = (issue as { params?: { remedy?: string } }).params ?? {};
      return { key, value: shown(key, given), problem: issue.message, remedy: remedy ?? "" };
    });
  });
}

const plainSecrets = (given: RawConfig, { secretKeys = [] }: ConfigSource): Fault[] =>
  secrets
    .filter((key) => given[key] && !secretKeys.includes(key))
    .map((key) => ({
      key,
      problem: "is stored as plain text in the stack's file.",
      remedy: `Create a new one and store it encrypted: head -c 32 /dev/urandom | base64 | pulumi config set --secret ${key}`,
    }));

/** The faults as text for the user. */
export function formatFaults(faults: readonly Fault[], stack: string): string {
  const many = faults.length === 1 ? "1 error" : `${faults.length} errors`;
  const list = faults.map(
    ({ key, value, problem, remedy }) => `  ${key}${value ? ` = ${value}` : ""}\n    ${problem}\n    ${remedy}`,
  );
  return `The configuration of stack ${stack} has ${many}; nothing was changed.\n\n${list.join("\n\n")}\n`;
}
