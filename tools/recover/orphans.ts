/** Compares a deployment with what exists: orphans, lost machines, machines that moved. Pure. */
import type { Deployment } from "../pulumi";

/** Something in the cloud that carries the stack's tags. */
export interface CloudResource {
  /** EC2's resource type, such as instance or vpc. */
  readonly type: string;
  readonly id: string;
}

/** Live instances, as id -> public address. */
export type Live = ReadonlyMap<string, string | undefined>;

/**
 * Every string in the ids and outputs of a deployment's resources. This includes every identifier that belongs to a
 * resource: its own, and those of what was created with it, such as an instance's volume, which also carries the stack's
 * tags.
 */
export function knownIds(deployment: Deployment): Set<string> {
  const ids = new Set<string>();
  const collect = (value: unknown): void => {
    if (typeof value === "string") ids.add(value);
    else if (typeof value === "object" && value !== null) Object.values(value).forEach(collect);
  };
  for (const { id, outputs } of deployment.resources ?? []) collect([id, outputs]);
  return ids;
}

/**
 * What carries the stack's tags but is not in its state.
 * @param order the types that can be deleted, in the order in which they can.
 * @returns the orphans in that order; other types are left out.
 */
export function orphans(
  tagged: readonly CloudResource[],
  known: ReadonlySet<string>,
  order: readonly string[],
): CloudResource[] {
  return tagged
    .filter(({ id, type }) => order.includes(type) && !known.has(id))
    .sort((a, b) => order.indexOf(a.type) - order.indexOf(b.type));
}

/** Machines of a deployment whose instance is no longer live, by name. */
export function lostMachines(deployment: Deployment, live: Live): string[] {
  return instances(deployment).flatMap(({ name, id }) => (live.has(id) ? [] : [name]));
}

/** Machines whose public address differs from the one in the state, by name. */
export function movedMachines(deployment: Deployment, live: Live): string[] {
  return instances(deployment).flatMap(({ name, id, publicIp }) =>
    live.has(id) && (live.get(id) ?? "") !== (publicIp ?? "") ? [name] : [],
  );
}

/** Names of the machines whose type or volume was being changed when the engine was killed. */
export function halfChangedMachines({ pending_operations: pending = [] }: Deployment): string[] {
  return instances({ resources: pending.flatMap(({ type, resource }) => (type === "updating" ? [resource] : [])) }).map(
    ({ name }) => name,
  );
}

/** Instances of a deployment: the machine's name, the instance's id, and the public address in the state. */
export function instances(deployment: Deployment): { name: string; id: string; publicIp: unknown }[] {
  return (deployment.resources ?? []).flatMap(({ type, urn, id, outputs }) =>
    type === "aws:ec2/instance:Instance" && id !== undefined
      ? [{ name: urn.split("::").pop() ?? urn, id, publicIp: outputs?.["publicIp"] }]
      : [],
  );
}
