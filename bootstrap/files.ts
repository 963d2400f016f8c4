/** The real files in scripts/, units/, configs/ and manifests/, and the few values that differ between machines. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { MaterialKey, PairName } from "../cluster/material";

/** A file that a step puts on a machine. */
export interface StepFile {
  readonly path: string;
  /** Octal permission bits, such as "0644". */
  readonly mode: string;
  /** user:group; root:root by default. */
  readonly owner?: string;
  /** Text of the file; ends with a newline. */
  readonly content: string;
}

/** A file whose content is secret, or known only once the PKI exists. */
export interface SecretFile {
  readonly path: string;
  readonly mode: string;
  readonly owner?: string;
  /** Key of the content in the cluster's material. */
  readonly source: MaterialKey;
}

/** Text of a file in this folder, such as `units/etcd.service`. */
export const asset = (path: string): string => readFileSync(join(__dirname, path), "utf8");

/** Replaces every `{{NAME}}` in a text. @throws if a placeholder has no value or a value no placeholder: both are bugs. */
export function fill(text: string, values: Readonly<Record<string, string>>): string {
  const unused = new Set(Object.keys(values));
  const filled = text.replace(/\{\{([A-Z_]+)\}\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`no value for {{${name}}}`);
    unused.delete(name);
    return value;
  });
  if (unused.size > 0) throw new Error(`no placeholder for ${[...unused].join(", ")}`);
  return filled;
}

type Values = Readonly<Record<string, string>>;

/** A world-readable file. */
export const publicFile = (path: string, content: string, mode = "0644"): StepFile => ({ path, mode, content });

/** A file of this folder, such as `configs/crictl.yaml`, with its values filled in. */
export const fileFrom = (source: string, path: string, values: Values = {}, mode = "0644"): StepFile =>
  publicFile(path, fill(asset(source), values), mode);

/** A systemd unit from units/<name>. */
export const unitFile = (name: string, values: Values = {}): StepFile =>
  fileFrom(`units/${name}`, `/etc/systemd/system/${name}`, values);

/** A file of the PKI directory, readable only by root. */
export const pkiFile = (name: string, source: MaterialKey): SecretFile => ({
  path: `/etc/kubernetes/pki/${name}.pem`,
  mode: "0600",
  source,
});

/** A certificate and its key: <name>.pem and <name>-key.pem. */
export const pkiPair = (name: string, pair: PairName): SecretFile[] => [
  pkiFile(name, `${pair}/cert`),
  pkiFile(`${name}-key`, `${pair}/key`),
];

/** A kubeconfig in /etc/kubernetes. */
export const kubeconfigFile = (name: string, source: MaterialKey & `kubeconfig/${string}`): SecretFile => ({
  path: `/etc/kubernetes/${name}.conf`,
  mode: "0600",
  source,
});
