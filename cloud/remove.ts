/** Removes what a cloud has left in the container engine and on the host. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import type Docker from "dockerode";
import { renderHostsFile } from "./hypervisor/dns";
import { HOSTS } from "./hypervisor/hypervisor";
import { ignoreMissing } from "./hypervisor/instances";
import { hostTable, removeVpc } from "./hypervisor/vpc";
import { UserError } from "../lib/errors";
import { Cloud, LABEL } from "./names";
import { waitFor } from "../lib/process";
import { tryRun } from "../lib/run";

/** How long the engine may take to remove everything, in milliseconds. */
const PATIENCE = 60_000;

/** Removes every container, volume, network, route, rule and host name of the cloud, and checks that they are gone. */
export async function removeEverything(cloud: Cloud, docker: Docker): Promise<void> {
  const filters = { label: [`${LABEL.cloud}=${cloud.name}`] };
  let reason: unknown;
  const attempt = (removal: Promise<unknown>): Promise<unknown> =>
    ignoreMissing(removal).catch((error) => (reason = error));
  // Retried, because the engine refuses while it is still busy with an earlier removal.
  const gone = await waitFor(async () => {
    const containers = await docker.listContainers({ all: true, filters });
    await Promise.all(containers.map(({ Id }) => attempt(docker.getContainer(Id).remove({ force: true, v: true }))));
    const volumes = (await docker.listVolumes({ filters })).Volumes ?? [];
    await Promise.all(volumes.map(({ Name }) => attempt(docker.getVolume(Name).remove())));
    const networks = await docker.listNetworks({ filters });
    for (const network of networks) await attempt(removeVpc(docker, network));
    return containers.length + volumes.length + networks.length === 0;
  }, PATIENCE);
  await removeHostTraces(cloud);
  if (!gone) throw new Error(`The container engine failed to remove all of "${cloud.name}": ${String(reason)}`);
}

/** Removes what is left on the host itself: firewall rules and host names. */
export async function removeHostTraces(cloud: Cloud): Promise<void> {
  await tryRun("nft", ["delete", "table", "inet", hostTable(cloud)]);
  const hosts = readFileSync(HOSTS, "utf8");
  const rest = renderHostsFile(hosts, cloud.name, []);
  if (rest !== hosts) writeFileSync(HOSTS, rest);
}

/**
 * Removes what is left of a cloud with the same name whose state directory has been deleted.
 * @throws UserError if a cloud with the same name and another state directory exists.
 */
export async function refuseForeign(cloud: Cloud, docker: Docker): Promise<void> {
  const filters = { label: [`${LABEL.cloud}=${cloud.name}`] };
  const containers = await docker.listContainers({ all: true, filters });
  const networks = await docker.listNetworks({ filters });
  const owners = [...containers.map(({ Labels }) => Labels), ...networks.map(({ Labels }) => Labels ?? {})];
  const foreign = owners.map((labels) => labels[LABEL.stateDir]!).find((directory) => directory !== cloud.stateDir);
  if (foreign === undefined) return;
  if (existsSync(foreign)) {
    throw new UserError(
      `There is already a local cloud named "${cloud.name}", with its state in ${foreign}.`,
      "Take it down, or choose another name and port with LAB_CLOUD and LAB_CLOUD_PORT.",
    );
  }
  await removeEverything(cloud, docker);
}
