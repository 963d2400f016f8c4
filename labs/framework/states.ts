/** An object's state in a word or two, as the timeline and error messages show it. Pure. */
import { type Kind, type Stored } from "./kinds";

type Of<K extends Kind> = Stored<K>;

/** Whether a condition such as Ready or Complete is True. */
export const has = (object: { status?: unknown }, type: string): boolean =>
  conditionOf(object, type)?.status === "True";

/** A condition of a status, by its type. */
export function conditionOf(
  object: { status?: unknown },
  type: string,
): { status: string; reason?: string; message?: string; lastTransitionTime?: string } | undefined {
  const conditions = (
    object.status as { conditions?: { type: string; status: string; reason?: string; message?: string }[] }
  )?.conditions;
  return conditions?.find((c) => c.type === type);
}

/** Whether a pod is Ready and not being deleted. */
export const isReady = (pod: Of<"Pod">): boolean => has(pod, "Ready") && !pod.metadata.deletionTimestamp;

/** Label of the control-plane nodes, and key of their taint. */
export const controlPlane = "node-role.kubernetes.io/control-plane";
export const isWorker = (node: Of<"Node">): boolean => !(controlPlane in (node.metadata.labels ?? {}));

/** A node's address inside the network; empty if it has none. */
export const internalIp = (node: Of<"Node">): string =>
  node.status.addresses?.find((a) => a.type === "InternalIP")?.address ?? "";

const podState = (pod: Of<"Pod">): string => {
  if (isReady(pod)) return "Ready";
  const gates = conditionOf(pod, "PodScheduled")?.reason;
  if (pod.status.phase === "Pending" && gates === "SchedulingGated") return "Gated";
  if (pod.status.phase === "Pending" && gates === "Unschedulable") return "Unschedulable";
  return pod.status.phase ?? "Pending";
};

const replicas = (status: { replicas?: number; readyReplicas?: number }, wanted?: number): string =>
  `${status.readyReplicas ?? 0}/${wanted ?? status.replicas ?? 0}`;

const states: { [K in Kind]?: (object: Of<K>) => string } = {
  Pod: podState,
  Deployment: (d) => replicas(d.status, d.spec.replicas),
  ReplicaSet: (r) => replicas(r.status, r.spec.replicas),
  StatefulSet: (s) => replicas(s.status, s.spec.replicas),
  DaemonSet: (d) => `${d.status.numberReady}/${d.status.desiredNumberScheduled}`,
  Job: (j) =>
    has(j, "Complete")
      ? "Complete"
      : has(j, "Failed")
        ? "Failed"
        : `${j.status.active ?? 0} active, ${j.status.succeeded ?? 0} ok`,
  CronJob: (c) => (c.spec.suspend ? "Suspended" : `${c.status.active?.length ?? 0} active`),
  Node: (n) => (has(n, "Ready") ? "Ready" : "NotReady") + (n.spec.unschedulable ? ", cordoned" : ""),
  PersistentVolumeClaim: (c) => c.status.phase ?? "Pending",
  ResourceQuota: (q) =>
    Object.entries(q.status.used ?? {})
      .map(([k, v]) => `${k}=${v}`)
      .join(" "),
  EndpointSlice: (e) => `${e.endpoints?.filter((x) => x.conditions?.ready).length ?? 0} ready`,
  Lease: (l) => l.spec.holderIdentity?.split("_")[0] ?? "nobody",
};

/** State of an object, such as Ready, Terminating or 2/3. */
export function stateOf<K extends Kind>(kind: K, object: Of<K>): string {
  if (object.metadata.deletionTimestamp) return "Terminating";
  return (states[kind] as ((o: Of<K>) => string) | undefined)?.(object) ?? "exists";
}
