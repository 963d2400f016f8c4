import type Docker from "dockerode";
import { ignoreMissing } from "./hypervisor/instances";
import { hostTable, removeVpc } from "./hypervisor/vpc";
import { Cloud, LABEL } from "./names";
import { tryRun } from "./run";

/** Removes every container, volume, network, route and rule that carries the cloud's name. */
export async function removeEverything(cloud: Cloud, docker: Docker): Promise<void> {
  const filters = { label: [`${LABEL.cloud}=${cloud.name}`] };
  const containers = await docker.listContainers({ all: true, filters });
  await Promise.all(
    containers.map(({ Id }) => ignoreMissing(docker.getContainer(Id).remove({ force: true, v: true }))),
  );
  const { Volumes } = await docker.listVolumes({ filters });
  await Promise.all((Volumes ?? []).map(({ Name }) => ignoreMissing(docker.getVolume(Name).remove())));
  for (const network of await docker.listNetworks({ filters })) await removeVpc(docker, network);
  await tryRun("nft", ["delete", "table", "inet", hostTable(cloud)]);
}
