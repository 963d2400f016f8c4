/** The whole bootstrap as one list, in the order of the series. */
import { type ClusterSpec, stages } from "../cluster/spec";
import { containerRuntimeStep } from "./steps/container-runtime";
import { balancerStep, controlPlaneStep, rbacStep } from "./steps/control-plane";
import { dnsStep } from "./steps/dns";
import { etcdStep } from "./steps/etcd";
import { machineStep } from "./steps/machine";
import { departuresStep, nodesOf, nodesStep } from "./steps/nodes";
import { podNetworkStep } from "./steps/pod-network";
import type { Step } from "./step";
import { workerStep } from "./steps/kubelet";

/**
 * Every step of the cluster up to its stage. What is done once for all is done on the first control-plane machine.
 * Steps of different machines run side by side; `after` says what must come first.
 */
export function steps(spec: ClusterSpec): Step[] {
  const { controllers, machines, balancer } = spec;
  const first = controllers[0];
  if (first === undefined) throw new Error("a cluster needs a control-plane machine");
  const nodes = nodesOf(spec);
  const all: Step[] = [
    ...machines.map((machine) => machineStep(spec, machine)),
    ...nodes.map((machine) => containerRuntimeStep(spec, machine)),
    ...controllers.map((machine) => etcdStep(spec, machine)),
    ...controllers.map((machine) => controlPlaneStep(spec, machine)),
    ...(balancer ? [balancerStep(spec, balancer)] : []),
    rbacStep(first),
    departuresStep(spec, first),
    ...nodes.map((machine) => workerStep(spec, machine)),
    ...nodes.map((machine) => podNetworkStep(spec, machine)),
    nodesStep(spec, first),
    dnsStep(spec, first),
  ];
  return all.filter((step) => stages.indexOf(step.stage) <= stages.indexOf(spec.stage));
}
