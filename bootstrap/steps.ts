/** The whole bootstrap, in the order of the series. This is the only place that defines the order. */
import type { Stage } from "../cluster/shape";
import type { ClusterSpec } from "../cluster/spec";
import { reaches } from "./parts";
import type { DefinedStep, Step } from "./step";
import { balancer } from "./steps/balancer";
import { containerRuntime } from "./steps/container-runtime";
import { controlPlane } from "./steps/control-plane";
import { departures } from "./steps/departures";
import { dns } from "./steps/dns";
import { etcd } from "./steps/etcd";
import { kubelet } from "./steps/kubelet";
import { machine } from "./steps/machine";
import { nodes } from "./steps/nodes";
import { podNetwork } from "./steps/pod-network";
import { rbac } from "./steps/rbac";

/** Every step. Its machines run it in parallel; `after` says what must come first. */
const story = [
  machine,
  containerRuntime,
  etcd,
  controlPlane,
  balancer,
  rbac,
  departures,
  kubelet,
  podNetwork,
  nodes,
  dns,
] as const;

export type StepName = (typeof story)[number]["name"];

/** The stage of a step; undefined if there is no step of that name. */
export const stageOf = (name: string): Stage | undefined => story.find((step) => step.name === name)?.stage;

/** The definitions that a cluster uses, which are those up to its stage. */
export const definitions = (spec: ClusterSpec): readonly DefinedStep[] =>
  (story as readonly DefinedStep[]).filter(({ stage }) => reaches(spec, stage));

/** Every step on every machine of a cluster, up to its stage. */
export const steps = (spec: ClusterSpec): readonly Step[] => definitions(spec).flatMap((step) => step.steps(spec));
