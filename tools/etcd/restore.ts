/** `make restore`: replaces etcd's data on every control-plane machine by a snapshot. */
import { setTimeout as sleep } from "node:timers/promises";
import { libraryDirectory } from "../../bootstrap/places";
import { UserError } from "../../lib/errors";
import { progress } from "../../lib/progress";
import type { Stack } from "../stack";
import { checkSnapshot, fetchSnapshot } from "./snapshot";
import { ssh, trySsh, unreachable, upload } from "./ssh";

const uploaded = "/var/lib/kubernetes-from-scratch/snapshots/restoring";
/** Seconds for etcd to form a cluster, and for API servers to become ready. */
const patience = 180;

/**
 * @param machines the control-plane machines.
 * @param snapshot a file on this machine, or machine:path.
 * @throws UserError if fewer machines than a quorum needs can be reached; nothing is changed then.
 */
export async function restoreSnapshot(stack: Stack, machines: readonly string[], snapshot: string): Promise<void> {
  const file = await onThisMachine(stack, machines, snapshot);
  await checkSnapshot(file);
  const reachable = await reach(stack, machines);
  await progress(`copying ${file} to ${reachable.join(", ")}`, () =>
    each(reachable, (machine) => upload(stack, machine, file, uploaded)),
  );
  await keepPresent(stack, reachable);
  await progress("stopping API servers and etcd, and replacing the data", () =>
    each(reachable, (machine) => ssh(stack, machine, `sudo ${libraryDirectory}/restore-etcd.sh ${uploaded}`)),
  );
  await progress("starting etcd", async () => {
    await each(reachable, (machine) => ssh(stack, machine, "sudo systemctl start --no-block etcd"));
    await each(reachable, (machine) => until(stack, machine, "etcd is healthy", healthy));
  });
  const unreadable = await ssh(stack, reachable[0]!, forgetLoadedKeys);
  await progress("starting the control plane", async () => {
    await each(reachable, (machine) => ssh(stack, machine, startServices));
    // without the keys that it needs, it would not become ready
    if (!unreadable) await each(reachable, (machine) => until(stack, machine, "the API server is ready", ready));
  });
  await each(reachable, (machine) => ssh(stack, machine, `sudo rm -f ${uploaded}`));
  if (unreadable)
    throw new UserError(
      `The snapshot is restored, but the cluster has no key for Secrets in it: ${unreadable.split("\n").join(", ")}. ` +
        "It is older than a change of encryptionKey.",
      `Set encryptionKey to the key of that time, or unset it if it was not set, and run make up STACK=${stack.name}. ` +
        "Afterwards it can be changed again.",
    );
}

const withLibrary = (command: string): string => `sudo bash -c '. ${libraryDirectory}/cluster.sh; ${command}'`;
const healthy = withLibrary("etcd_healthy 127.0.0.1");
/** What the snapshot says about the API servers' keys is out of date. Prints which keys would be needed to read Secrets. */
const forgetLoadedKeys = withLibrary(
  "[ ! -e /etc/kubernetes/encryption-config.yaml ] || " +
    `{ . /etc/kubernetes-from-scratch/etcd-cluster && . ${libraryDirectory}/encryption.sh && forget_loaded_keys && unreadable_secrets; }`,
);
const hasApi = "[ ! -e /etc/systemd/system/kube-apiserver.service ]";
const ready = withLibrary(`${hasApi} || api_ready 127.0.0.1`);
const startServices = `${hasApi} || sudo systemctl start --no-block kube-apiserver kube-controller-manager kube-scheduler`;

async function each<T>(machines: readonly string[], work: (machine: string) => Promise<T>): Promise<void> {
  await Promise.all(machines.map(work));
}

async function onThisMachine(stack: Stack, machines: readonly string[], snapshot: string): Promise<string> {
  const [machine = "", path] = snapshot.split(":");
  return path !== undefined && machines.includes(machine) ? fetchSnapshot(stack, machine, path) : snapshot;
}

/** The machines that can be reached. One that cannot joins later with empty data, as if it were new. */
async function reach(stack: Stack, machines: readonly string[]): Promise<string[]> {
  const reached = await Promise.all(machines.map((machine) => trySsh(stack, machine, "true")));
  const isReached = (_: string, index: number): boolean => reached[index]?.exitCode === 0;
  const [reachable, silent] = [
    machines.filter(isReached),
    machines.filter((machine, index) => !isReached(machine, index)),
  ];
  if (reachable.length <= machines.length / 2)
    throw new UserError(
      `These control-plane machines do not respond to SSH: ${silent.join(", ")}. A restored etcd needs a majority of them.`,
      `Start or create them: make up STACK=${stack.name}. It may end with etcd's refusal; then restore the snapshot.`,
    );
  if (silent.length)
    console.log(
      `  ${silent.join(", ")} does not respond. Its data will be set aside by \`make up STACK=${stack.name}\`.`,
    );
  return reachable;
}

/** Saves what is about to be replaced, if etcd still responds. */
async function keepPresent(stack: Stack, machines: readonly string[]): Promise<void> {
  for (const machine of machines) {
    const { exitCode, stdout } = await trySsh(stack, machine, `sudo ${libraryDirectory}/snapshot-etcd.sh`);
    if (exitCode !== 0) continue;
    console.log(`  The present state is saved on ${machine}: ${stdout.trim()}`);
    return;
  }
  console.log("  The present state cannot be saved, because no member of etcd responds.");
}

async function until(stack: Stack, machine: string, what: string, command: string): Promise<void> {
  const end = Date.now() + patience * 1000;
  for (;;) {
    const { exitCode, all } = await trySsh(stack, machine, command);
    if (exitCode === 0) return;
    if (Date.now() > end)
      throw new UserError(
        `Waited ${patience} s in vain until ${what} on ${machine}: ${all.trim().split("\n").at(-1)}`,
        exitCode === unreachable ? "" : `The log: ssh ${machine} sudo journalctl -u etcd -u kube-apiserver -n 50`,
      );
    await sleep(1000);
  }
}
