/** Appliances: containers in which the cloud's own services run. */
import { createHash } from "node:crypto";
import type Docker from "dockerode";
import { Kind, LABEL, nameOf, ownerLabels } from "../names";
import { Context, log } from "./context";
import { ignoreMissing } from "./instances";

/** A service of the cloud: the resolver or gateway of a VPC, or a load balancer node. */
export interface Appliance {
  readonly kind: Exclude<Kind, "machine">;
  /** Id of the VPC or load balancer node that it serves; part of the container's name. */
  readonly id: string;
  readonly vpcId: string;
  readonly command: readonly string[];
  /** Address in the VPC's network, or undefined to run in the host's network. */
  readonly address: string | undefined;
  /** Host directories mounted read-only: path on the host -> path in the container. */
  readonly readOnly: Readonly<Record<string, string>>;
}

/** The container of an appliance. Its label `hash` shows whether a running one is still up to date. */
export function applianceContainer(context: Context, appliance: Appliance): Docker.ContainerCreateOptions {
  const { cloud } = context;
  const network = nameOf(cloud, "vpc", appliance.vpcId);
  return {
    name: nameOf(cloud, appliance.kind, appliance.id),
    Image: context.images.appliance,
    Entrypoint: [appliance.command[0]!],
    Cmd: appliance.command.slice(1),
    Labels: {
      ...ownerLabels(cloud),
      [LABEL.kind]: appliance.kind,
      [LABEL.id]: appliance.id,
      [LABEL.vpc]: appliance.vpcId,
      [LABEL.hash]: createHash("sha256")
        .update(JSON.stringify(appliance))
        .update(context.images.appliance)
        .digest("hex")
        .slice(0, 16),
    },
    HostConfig: {
      Binds: Object.entries(appliance.readOnly).map(([host, inside]) => `${host}:${inside}:ro`),
      RestartPolicy: { Name: "unless-stopped" },
      NetworkMode: appliance.address ? network : "host",
      CapAdd: ["NET_ADMIN"],
      LogConfig: { Type: "json-file", Config: { "max-size": "1m" } },
    },
    ...(appliance.address
      ? { NetworkingConfig: { EndpointsConfig: { [network]: { IPAMConfig: { IPv4Address: appliance.address } } } } }
      : {}),
  };
}

/** Reconciles the appliances: starts what is missing, replaces what is out of date, removes what is unwanted. */
export class Appliances {
  constructor(private readonly context: Context) {}

  async reconcile(wanted: readonly Appliance[], present: readonly Docker.ContainerInfo[]): Promise<void> {
    const { docker } = this.context;
    const key = (kind: string | undefined, id: string | undefined): string => `${kind}/${id}`;
    const wantedKeys = new Set(wanted.map(({ kind, id }) => key(kind, id)));
    const removals = present
      .filter(({ Labels }) => !wantedKeys.has(key(Labels[LABEL.kind], Labels[LABEL.id])))
      .map((container) => ignoreMissing(docker.getContainer(container.Id).remove({ force: true, v: true })));
    await Promise.all(removals);
    await Promise.all(
      wanted.map(async (appliance) => {
        const options = applianceContainer(this.context, appliance);
        const now = present.find(
          ({ Labels }) => key(Labels[LABEL.kind], Labels[LABEL.id]) === key(appliance.kind, appliance.id),
        );
        if (now && now.State === "running" && now.Labels[LABEL.hash] === options.Labels![LABEL.hash]) return;
        if (now) await ignoreMissing(docker.getContainer(now.Id).remove({ force: true, v: true }));
        await (await docker.createContainer(options)).start();
        log(`${appliance.kind} ${appliance.id} started${appliance.address ? ` at ${appliance.address}` : ""}`);
      }),
    );
  }
}
