/** Writes what a stack hands out into .lab/<stack>/: kubeconfig, SSH configuration and keys, nothing readable by others. */
import { mkdirSync } from "node:fs";
import { chmod, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { StackOutputs } from "./stack";

/** Files of a stack, relative to its folder. */
export const stackFiles = {
  kubeconfig: "kubeconfig",
  sshConfig: "ssh_config",
  sshKey: "id",
  knownHosts: "known_hosts",
};

async function write(path: string, content: string): Promise<void> {
  const partial = `${path}.partial`;
  await writeFile(partial, content.endsWith("\n") ? content : `${content}\n`, { mode: 0o600 });
  await chmod(partial, 0o600);
  await rename(partial, path);
}

/**
 * @param dir the stack's folder; made where it is missing, mode 0700.
 * @param outputs the stack's outputs, with secrets. A stack stopped before the control plane has no kubeconfig.
 */
export async function writeStackFiles(dir: string, outputs: StackOutputs): Promise<void> {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const key = join(dir, stackFiles.sshKey);
  const knownHosts = join(dir, stackFiles.knownHosts);
  if (outputs.kubeconfig) await write(join(dir, stackFiles.kubeconfig), outputs.kubeconfig);
  if (outputs.sshPrivateKey) await write(key, outputs.sshPrivateKey);
  await write(knownHosts, outputs.sshKnownHosts);
  const config = outputs.sshConfig.replace(
    /^(\s*(?:IdentityFile|UserKnownHostsFile)\s+)(\S+)$/gm,
    (_line, head, file) =>
      file.startsWith("/") || file.startsWith("~") ? `${head}${file}` : `${head}${join(dir, file)}`,
  );
  await write(join(dir, stackFiles.sshConfig), config);
}

/** Removes the files again; the effective configuration stays for the next `up`. */
export async function removeStackFiles(dir: string): Promise<void> {
  for (const file of Object.values(stackFiles)) await rm(join(dir, file), { force: true });
}
