/**
 * Repairs a stack whose Pulumi state no longer matches the cloud, which `up` and `destroy` cannot do themselves:
 *
 * - An engine was killed. What it had begun to create may exist without being in the state. Such orphans are found by the
 *   stack's tags, or by the inputs of the interrupted operation, and deleted. Then the pending operations are cleared, and
 *   the same command continues without creating anything twice. On AWS somebody else's stack may have the same name, so
 *   nothing is deleted there unless ORPHANS=delete allows it.
 * - A machine was lost, or was stopped and started and has a different public address. The state is refreshed, and the
 *   same command replaces or adjusts what depends on it.
 * - A machine is stopped or has died, and is to run again. It is started.
 * @see https://www.pulumi.com/docs/support/troubleshooting/common-issues/interrupted-updates/
 */
import { UserError } from "../../lib/errors";
import { refuseToLoseData } from "../etcd/repair";
import { refuseChanges } from "../refusal";
import type { Deployment, PendingOperation, Pulumi } from "../pulumi";
import type { Stack } from "../stack";
import { type Clients, clientsOf, deleteResource, deletionOrder, liveInstances, taggedResources } from "./cloud";
import {
  type CloudResource,
  halfChangedMachines,
  instances,
  knownIds,
  type Live,
  lostMachines,
  movedMachines,
  orphans,
} from "./orphans";
import { startMachines } from "./start";
import { undo } from "./undo";

export { takeOver } from "./engine";

/** Seconds until a machine is given up that was started. On AWS, status checks follow minutes after a reboot. */
const startPatience = { local: 60, aws: 300 } as const;

/**
 * Brings a stack back to a state from which Pulumi can continue.
 * @param start whether the cluster is to run: machines that are down are started.
 * @throws UserError if its data is lost, or would be with the present configuration.
 */
export async function recover(pulumi: Pulumi, { start }: { readonly start: boolean }): Promise<void> {
  const { stack } = pulumi;
  const deployment = await pulumi.state();
  if (start) refuseChanges(stack, deployment);
  // a kill may come before an operation is recorded; a local cloud is cheap to query, and belongs only to this checkout
  const mayHaveOrphans = stack.isLocal || pendingOf(deployment).length > 0;
  if (!mayHaveOrphans && instances(deployment).length === 0) return;
  const clients = clientsOf(stack);
  if (start) await startMachines(clients, instances(deployment), startPatience[stack.isLocal ? "local" : "aws"]);
  const live = await liveInstances(clients);
  if (start) refuseToLoseData(stack, deployment, live);
  if (mayHaveOrphans) await undoInterrupted(pulumi, clients, deployment, live);
  if (machinesChanged(stack, deployment, live)) {
    console.log("Updating the state with what really exists.");
    await pulumi.refresh();
  }
}

/** What carries the stack's tags but is not in its state. */
export async function strays(pulumi: Pulumi): Promise<CloudResource[]> {
  const clients = clientsOf(pulumi.stack);
  return orphansOf(pulumi.stack, clients, await pulumi.state(), await liveInstances(clients));
}

async function orphansOf(stack: Stack, clients: Clients, state: Deployment, live: Live): Promise<CloudResource[]> {
  return orphans(await taggedResources(clients, stack.name, live), knownIds(state), deletionOrder);
}

const pendingOf = ({ pending_operations: pending = [] }: Deployment): readonly PendingOperation[] => pending;

async function undoInterrupted(pulumi: Pulumi, clients: Clients, deployment: Deployment, live: Live): Promise<void> {
  const { stack } = pulumi;
  const pending = pendingOf(deployment);
  if (pending.length)
    console.log(`The last run was interrupted during ${pending.length} operations. Looking for what it left behind.`);
  const known = knownIds(deployment);
  for (const { type, resource } of pending) if (type === "creating") await undo(clients, resource, known);
  const found = await orphansOf(stack, clients, deployment, live);
  if (found.length && !stack.isLocal && process.env["ORPHANS"] !== "delete")
    throw new UserError(
      `These carry the tags of stack ${stack.name} but are not in its state: ${found.map(({ id }) => id).join(", ")}.`,
      `Look at them. If nobody else has a stack of that name in this account and region, delete them and continue: ORPHANS=delete make up STACK=${stack.name}`,
    );
  for (const orphan of found) {
    console.log(`  deleting ${orphan.type} ${orphan.id}, which is not in the state`);
    await deleteResource(clients, orphan);
  }
  if (pending.length) await pulumi.importState({ ...deployment, pending_operations: [] });
}

/** Whether machines are lost or have moved, or may have been changed by a run that was killed. Prints which. */
function machinesChanged(stack: Stack, deployment: Deployment, live: Live): boolean {
  const lost = lostMachines(deployment, live);
  // the tools reach a local stack's machines at their private addresses, which never change
  const moved = stack.isLocal ? [] : movedMachines(deployment, live);
  if (lost.length) console.log(`These machines are lost: ${lost.join(", ")}.`);
  if (moved.length) console.log(`The public addresses of these machines have changed: ${moved.join(", ")}.`);
  const halfChanged = halfChangedMachines(deployment);
  if (halfChanged.length) console.log(`The last run was changing these machines: ${halfChanged.join(", ")}.`);
  return lost.length + moved.length + halfChanged.length > 0;
}
