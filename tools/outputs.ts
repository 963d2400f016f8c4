/** Writes a stack's outputs into .lab/<stack>/ as files that only their owner can read: kubeconfig, SSH configuration, keys. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { writePrivateFile } from "./private-file";

/** A machine as the stack's output `nodes` lists it. */
export interface NodeOutput {
  readonly name: string;
  readonly role: "control-plane" | "worker" | "balancer";
  readonly zone: string;
  readonly privateIp: string;
  readonly publicIp?: string;
  readonly instanceId: string;
  readonly podCidr?: string;
}

/** Outputs of the program, including secrets. */
export interface StackOutputs {
  readonly kubeconfig: string;
  readonly apiEndpoint: string;
  readonly nodes: readonly NodeOutput[];
  readonly sshConfig: string;
  readonly sshPrivateKey?: string;
  readonly sshKnownHosts: string;
  readonly certificateExpiry: Readonly<Record<string, string>>;
  /** The line with which each step of the bootstrap proved that it worked when it last ran. */
  readonly proofs: Readonly<Record<string, string>>;
}

/** Files of a stack, relative to its folder. */
export const stackFiles = {
  kubeconfig: "kubeconfig",
  sshConfig: "ssh_config",
  sshKey: "id",
  knownHosts: "known_hosts",
};

/** @param dir the stack's folder; created with mode 0700 if it is missing. */
export function writeStackFiles(dir: string, outputs: StackOutputs): void {
  const { kubeconfig, sshConfig, sshKey, knownHosts } = stackFiles;
  writePrivateFile(join(dir, kubeconfig), outputs.kubeconfig);
  if (outputs.sshPrivateKey) writePrivateFile(join(dir, sshKey), outputs.sshPrivateKey);
  writePrivateFile(join(dir, knownHosts), outputs.sshKnownHosts);
  writePrivateFile(join(dir, sshConfig), withAbsolutePaths(outputs.sshConfig, dir));
}

/** The SSH configuration with absolute paths, so that it works from any folder; its own paths are relative to `dir`. */
const withAbsolutePaths = (sshConfig: string, dir: string): string =>
  sshConfig.replace(
    /^(\s*(?:IdentityFile|UserKnownHostsFile)\s+)([^\s/~]\S*)$/gm,
    (_line, keyword: string, file: string) => keyword + join(dir, file),
  );

/** Removes those files. The effective configuration is kept for the next `up`. */
export async function removeStackFiles(dir: string): Promise<void> {
  for (const file of Object.values(stackFiles)) await rm(join(dir, file), { force: true });
}
