import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type Docker from "dockerode";
import { renderHostsFile } from "./hypervisor/dns";
import { HOSTS } from "./hypervisor/hypervisor";
import { ignoreMissing } from "./hypervisor/instances";
import { hostTable, removeVpc } from "./hypervisor/vpc";
import { Cloud, LABEL, UserError } from "./names";
import { tryRun } from "./run";

/** Removes every container, volume, network, route, rule and name that is the cloud's. */
export async function removeEverything(cloud: Cloud, docker: Docker): Promise<void> {
  const filters = { label: [`${LABEL.cloud}=${cloud.name}`] };
  const containers = await docker.listContainers({ all: true, filters });
  await Promise.all(
    containers.map(({ Id }) => ignoreMissing(docker.getContainer(Id).remove({ force: true, v: true }))),
  );
  const { Volumes } = await docker.listVolumes({ filters });
  await Promise.all((Volumes ?? []).map(({ Name }) => ignoreMissing(docker.getVolume(Name).remove())));
  for (const network of await docker.listNetworks({ filters })) {
    for (let tries = 0; !(await removeVpc(docker, network)) && tries < 50; tries++) await sleep(100);
  }
  await removeHostTraces(cloud);
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
