/** What `make up` does about etcd before Pulumi runs: refuses to lose the data, and lets unhealthy members be set up again. */
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { libraryDirectory, runtimeDirectory } from "../../bootstrap/places";
import { insists } from "../../cluster/config/changes";
import { UserError } from "../../lib/errors";
import { progress } from "../../lib/progress";
import { stackFiles } from "../outputs";
import type { Deployment } from "../pulumi";
import type { Stack } from "../stack";
import { type EtcdMachine, etcdMachines, lostWithAllData, stepsAfterEtcd } from "./members";
import { newestSnapshot } from "./snapshot";
import { ssh, trySsh, unreachable } from "./ssh";

/** Whether the user accepts that the cluster begins again, empty. */
const mayLoseData = (): boolean => insists(process.env);

/** Seconds that a member has to become healthy, for example after its machine was started. */
const patience = 30;

/** @throws UserError if no machine with the cluster's data exists any longer, unless LOSE_DATA=yes accepts that. */
export function refuseToLoseData(stack: Stack, deployment: Deployment, live: { has(id: string): boolean }): void {
  const lost = lostWithAllData(deployment, live);
  if (lost.length === 0 || mayLoseData()) return;
  const newest = newestSnapshot(stack);
  const restore = `make restore STACK=${stack.name} SNAPSHOT=${newest ?? "<file>"}`;
  throw new UserError(
    `Every machine that had the cluster's data is lost: ${lost.join(", ")}. New ones would form an empty cluster.`,
    `To create them nevertheless: LOSE_DATA=yes make up STACK=${stack.name}. Then bring the data back with a snapshot: ${restore} (${newest ? "the newest on this machine" : "there is none on this machine"}).`,
  );
}

const restoredFile = (stack: Stack): string => join(stack.dir, "restored");

/** Whether the data were replaced by a snapshot since the last update. The cluster's own objects are then those of its time. */
const isRestored = (stack: Stack): boolean => existsSync(restoredFile(stack));

/** Records that the data were replaced by a snapshot. */
export const recordRestore = (stack: Stack): void => writeFileSync(restoredFile(stack), "");

/** Records that an update has brought the cluster's own objects up to date. */
export const forgetRestore = (stack: Stack): void => rmSync(restoredFile(stack), { force: true });

/**
 * Arguments for `pulumi up` that let steps run again: after a restore, all from the API server on, because they have put
 * objects into etcd; and the step etcd on machines whose member is unhealthy. The step knows what to
 * do about it: start the member, let it join anew, or refuse and say how to restore a snapshot.
 */
export async function etcdArguments(stack: Stack, deployment: Deployment): Promise<string[]> {
  if (!existsSync(join(stack.dir, stackFiles.sshConfig))) return [];
  const machines = etcdMachines(deployment);
  const health = await settled(stack, machines);
  const sick = machines.filter(({ name }) => health.get(name) === "unhealthy");
  const again = isRestored(stack) ? stepsAfterEtcd(deployment) : [];
  if (sick.length > 0) console.log(`The step etcd runs again on ${names(sick)}.`);
  if (!mayLoseData() || [...health.values()].includes("healthy")) return [...again, ...sick].map(replace);
  await acceptLoss(stack, machines);
  return [...stepsAfterEtcd(deployment), ...sick].map(replace);
}

const replace = ({ urn }: EtcdMachine): string => `--replace=${urn}`;
const names = (machines: readonly EtcdMachine[]): string => machines.map(({ name }) => name).join(", ");

/** Of members, by machine. Nothing is known about a machine that cannot be reached. */
type Health = ReadonlyMap<string, "healthy" | "unhealthy" | "unreachable">;

/** The members' health, as soon as none is unhealthy, or after the time that they have for that. */
async function settled(stack: Stack, machines: readonly EtcdMachine[]): Promise<Health> {
  const first = await healthOf(stack, machines);
  const sick = machines.filter(({ name }) => first.get(name) === "unhealthy");
  if (sick.length === 0) return first;
  return progress(`waiting up to ${patience} s: etcd on ${names(sick)} is unhealthy`, async () => {
    const end = Date.now() + patience * 1000;
    for (let health = first; ; health = await healthOf(stack, machines)) {
      if (![...health.values()].includes("unhealthy") || Date.now() > end) return health;
      await sleep(2000);
    }
  });
}

/** Tells the machines that the step etcd may form an empty cluster although there was data. Forgotten with the next boot. */
async function acceptLoss(stack: Stack, machines: readonly EtcdMachine[]): Promise<void> {
  const command = `sudo mkdir -p ${runtimeDirectory} && sudo touch ${runtimeDirectory}/lose-data`;
  await Promise.all(machines.map(({ name }) => ssh(stack, name, command).catch(() => undefined)));
}

async function healthOf(stack: Stack, machines: readonly EtcdMachine[]): Promise<Health> {
  const command = `sudo bash -c '. ${libraryDirectory}/cluster.sh; etcd_healthy 127.0.0.1'`;
  const answers = machines.map(async ({ name }) => {
    const { exitCode } = await trySsh(stack, name, command);
    return [name, exitCode === 0 ? "healthy" : exitCode === unreachable ? "unreachable" : "unhealthy"] as const;
  });
  return new Map(await Promise.all(answers));
}
