/** The machines on which etcd has run, as a deployment records them. Pure. */
import { stageOf } from "../../bootstrap/steps";
import { departures } from "../../bootstrap/steps/departures";
import { stages } from "../../cluster/shape";
import type { Deployment } from "../pulumi";

/** A machine on which a step of the bootstrap, usually etcd, has run. */
export interface EtcdMachine {
  readonly name: string;
  /** URN of the step's remote command. */
  readonly urn: string;
  /** Id of the instance on which that command last ran. */
  readonly instanceId: string;
}

export const etcdMachines = (deployment: Deployment): EtcdMachine[] =>
  machinesOf(deployment, (step) => step === "etcd");

/**
 * What has set up the cluster whose data etcd has, and has to run again with other data: all steps from the API server on. The
 * step departures is one of them, because it deletes Nodes of machines that no longer exist, for which new machines wait.
 */
export const stepsAfterEtcd = (deployment: Deployment): EtcdMachine[] =>
  machinesOf(deployment, (step) => {
    const stage = stageOf(step);
    return step === departures.name || (stage !== undefined && stages.indexOf(stage) > stages.indexOf("etcd"));
  });

/** The machines on which certain steps of the bootstrap have run. */
function machinesOf({ resources = [] }: Deployment, isWanted: (step: string) => boolean): EtcdMachine[] {
  return resources.flatMap(({ type, urn, inputs }) => {
    const [step = "", name = ""] = (urn.split("::").pop() ?? "").split("@");
    if (type !== "command:remote:Command" || !isWanted(step)) return [];
    const [instanceId] = (inputs?.["triggers"] ?? []) as unknown[];
    return [{ name, urn, instanceId: String(instanceId) }];
  });
}

/** The machines that had the cluster's data, if none of them exists any longer. */
export function lostWithAllData(deployment: Deployment, live: { has(id: string): boolean }): string[] {
  const machines = etcdMachines(deployment);
  return machines.some(({ instanceId }) => live.has(instanceId)) ? [] : machines.map(({ name }) => name);
}
