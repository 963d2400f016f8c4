/** The real files of scripts/, units/ and manifests/, and the few values that differ from machine to machine. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { SecretFile, StepFile } from "./step";

/** Text of a file of this folder, such as `units/etcd.service`. */
export const asset = (path: string): string => readFileSync(join(__dirname, path), "utf8");

/**
 * Replaces every `{{NAME}}` of a text. A name without a value, or a value without a place, is a mistake of ours and
 * throws: half a unit file must not reach a machine.
 */
export function fill(text: string, values: Readonly<Record<string, string>>): string {
  const unused = new Set(Object.keys(values));
  const filled = text.replace(/\{\{([A-Z_]+)\}\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`no value for {{${name}}}`);
    unused.delete(name);
    return value;
  });
  if (unused.size > 0) throw new Error(`no place for ${[...unused].join(", ")}`);
  return filled;
}

/** A file that everybody may read. */
export const publicFile = (path: string, content: string, mode = "0644"): StepFile => ({ path, mode, content });

/** A unit of systemd, from units/<name>, under its own name. */
export const unitFile = (name: string, values: Readonly<Record<string, string>> = {}): StepFile =>
  publicFile(`/etc/systemd/system/${name}`, fill(asset(`units/${name}`), values));

/** A file of the PKI directory, readable by root alone. */
export const pkiFile = (name: string, source: string): SecretFile => ({
  path: `/etc/kubernetes/pki/${name}.pem`,
  mode: "0600",
  source,
});

/** A certificate and its key: <name>.pem and <name>-key.pem. */
export const pkiPair = (name: string, source: string): SecretFile[] => [
  pkiFile(name, `${source}/cert`),
  pkiFile(`${name}-key`, `${source}/key`),
];

/** A kubeconfig under /etc/kubernetes. */
export const kubeconfigFile = (name: string, source: string): SecretFile => ({
  path: `/etc/kubernetes/${name}.conf`,
  mode: "0600",
  source: `kubeconfig/${source}`,
});

/** The administrator's kubeconfig: on the machine only while the step runs, in memory. */
export const adminKubeconfig = (step: string): SecretFile => ({
  path: `/run/kubernetes-from-scratch/${step}/admin.conf`,
  mode: "0600",
  source: "kubeconfig/admin",
});
