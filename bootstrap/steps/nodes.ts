/** The cluster's members as a whole: who belongs to it, and who leaves. Both steps run on one control-plane machine. */
import { type ClusterSpec, type Machine, stages } from "../../cluster/spec";
import { commonVariables, controllerLines } from "./machine";
import type { Step } from "../step";
import { adminKubeconfig, asset } from "../files";

const reaches = (spec: ClusterSpec, stage: ClusterSpec["stage"]): boolean =>
  stages.indexOf(spec.stage) >= stages.indexOf(stage);

/** All machines that are nodes. */
export const nodesOf = (spec: ClusterSpec): readonly Machine[] => [...spec.controllers, ...spec.workers];

/** Nodes and etcd members that are no longer wanted leave while their machines still run: Pulumi deletes those last. */
export function departuresStep(spec: ClusterSpec, machine: Machine): Step {
  const hasApi = reaches(spec, "control-plane");
  return {
    name: "departures",
    stage: "etcd",
    machine,
    variables: { ...commonVariables(machine), CONTROLLERS: controllerLines(spec), API: hasApi ? "yes" : "no" },
    facts: { INSTANCES: "instances" },
    files: [],
    secrets: hasApi ? [adminKubeconfig("departures")] : [],
    script: asset("scripts/steps/departures.sh"),
    after: [
      ...spec.controllers.map(({ name }) => `etcd@${name}`),
      ...(hasApi ? [`control-plane@${machine.name}`] : []),
    ],
  };
}

/** All nodes are there, labelled, and Ready as far as the stage goes. */
export function nodesStep(spec: ClusterSpec, machine: Machine): Step {
  const hasNetwork = reaches(spec, "network");
  const nodes = nodesOf(spec);
  return {
    name: "nodes",
    stage: "workers",
    machine,
    variables: {
      ...commonVariables(machine),
      NODES: nodes.map(({ name, role, podCidr }) => `${name} ${role} ${podCidr}`).join("\n"),
      WORKER_LABELS: Object.entries(spec.nodeLabels)
        .map(([key, value]) => `${JSON.stringify(key)}: ${JSON.stringify(value)}`)
        .join(", "),
      NETWORK: hasNetwork ? "yes" : "no",
    },
    facts: {},
    files: [],
    secrets: [adminKubeconfig("nodes")],
    script: asset("scripts/steps/nodes.sh"),
    after: [
      `rbac@${machine.name}`,
      `departures@${machine.name}`,
      ...nodes.map(({ name }) => `${hasNetwork ? "pod-network" : "worker"}@${name}`),
    ],
  };
}
