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

/** How long the engine may take to let go of everything, in milliseconds. */
const PATIENCE = 60_000;

/** Removes every container, volume, network, route, rule and name that is the cloud's, and sees that they are gone. */
export async function removeEverything(cloud: Cloud, docker: Docker): Promise<void> {
  const filters = { label: [`${LABEL.cloud}=${cloud.name}`] };
  let reason: unknown;
  const attempt = (removal: Promise<unknown>): Promise<unknown> =>
    ignoreMissing(removal).catch((error) => (reason = error));
  // Again and again: the engine may still be busy with a removal that it was told of before, and refuses meanwhile.
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
  if (!gone)
    throw new Error(`the container engine did not remove everything of cloud "${cloud.name}": ${String(reason)}`);
}

/** What is left on the host itself: firewall rules and names. */
export async function removeHostTraces(cloud: Cloud): Promise<void> {
  await tryRun("nft", ["delete", "table", "inet", hostTable(cloud)]);
  const hosts = readFileSync(HOSTS, "utf8");
  const rest = renderHostsFile(hosts, cloud.name, []);
  if (rest !== hosts) writeFileSync(HOSTS, rest);
}

/** Fails if another checkout runs a cloud of that name on the same engine; adopts what a deleted checkout left. */
export async function refuseForeign(cloud: Cloud, docker: Docker): Promise<void> {
  const filters = { label: [`${LABEL.cloud}=${cloud.name}`] };
  const containers = await docker.listContainers({ all: true, filters });
  const networks = await docker.listNetworks({ filters });
  const owners = [...containers.map(({ Labels }) => Labels), ...networks.map(({ Labels }) => Labels ?? {})];
  const foreign = owners.map((labels) => labels[LABEL.stateDir]!).find((directory) => directory !== cloud.stateDir);
  if (foreign === undefined) return;
  if (existsSync(foreign)) {
    throw new UserError(
      `A local cloud named "${cloud.name}" runs already, from another checkout (${foreign}).`,
      "Take that one down, or give this one another name and port with LAB_CLOUD and LAB_CLOUD_PORT.",
    );
  }
  await removeEverything(cloud, docker);
}
