/** Removes what a cloud has left in the container engine and on the host. */
import type Docker from "dockerode";
import { removeForwarding } from "./hypervisor/forwarding";
import { updateHostsFile } from "./hypervisor/hosts-file";
import { ignoreMissing } from "./hypervisor/instances";
import { removeRules } from "./hypervisor/routes";
import { hostTable, removeVpc } from "./hypervisor/vpc";
import { Cloud } from "./names";
import { Belongings } from "./owner";
import { waitFor } from "../lib/process";
import { tryRun } from "../lib/run";

/** How long the engine may take to remove everything, in milliseconds. */
const PATIENCE = 60_000;

/** Removes containers, volumes and networks, with the networks' routes and rules, and checks that they are gone. */
export async function removeFromEngine(docker: Docker, list: () => Promise<Belongings>): Promise<void> {
  let reason: unknown;
  const attempt = (removal: Promise<unknown>): Promise<unknown> =>
    ignoreMissing(removal).catch((error) => (reason = error));
  // Retried, because the engine refuses while it is still busy with an earlier removal.
  const gone = await waitFor(async () => {
    const { containers, volumes, networks } = await list();
    await Promise.all(containers.map(({ Id }) => attempt(docker.getContainer(Id).remove({ force: true, v: true }))));
    await Promise.all(volumes.map(({ Name }) => attempt(docker.getVolume(Name).remove())));
    for (const network of networks) await attempt(removeVpc(docker, network));
    return containers.length + volumes.length + networks.length === 0;
  }, PATIENCE);
  if (!gone) throw new Error(`The container engine failed to remove everything: ${String(reason)}`);
}

/** Removes what is left on the host itself: firewall rules, routing rules and host names. */
export async function removeHostTraces(cloud: Cloud): Promise<void> {
  await tryRun("nft", ["delete", "table", "inet", hostTable(cloud)]);
  await removeForwarding(cloud);
  await removeRules(cloud);
  await updateHostsFile(cloud.name, []);
}
