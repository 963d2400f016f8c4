/**
 * Changes that a cluster does not survive, before `make up` looks for its machines. The program refuses them as well, for a
 * plain `pulumi up`; but where the cluster is now said to be, in another region, its machines would seem to be lost.
 */
import { areInsistedOn, type Former, formatRefusals, refusedChanges, settingsOf } from "../cluster/config/changes";
import { clusterSpec } from "../cluster/spec";
import { UserError } from "../lib/errors";
import type { Deployment } from "./pulumi";
import type { Stack } from "./stack";

/** @throws UserError if the configuration changes what cannot change, and nobody insists. */
export function refuseChanges(stack: Stack, deployment: Deployment): void {
  const outputs = deployment.resources?.find(({ type }) => type === "pulumi:pulumi:Stack")?.outputs;
  if (!Array.isArray(outputs?.["nodes"])) return; // no update has succeeded yet
  const config = stack.config();
  // a change of a secret is never refused
  const wanted = settingsOf(config, () => "");
  const refusals = refusedChanges(outputs as unknown as Former, wanted, clusterSpec(config).nodes);
  if (refusals.length > 0 && !areInsistedOn(refusals, process.env))
    throw new UserError(formatRefusals(refusals, stack.name));
}
