/** Whose is what carries a cloud's name: this checkout's, a copy's original's, or somebody else's. */
import type Docker from "dockerode";
import { UserError } from "../lib/errors";
import { runningElsewhere } from "../lib/process";
import { daemonsOf } from "./daemons";
import { Cloud, LABEL, isOwn } from "./names";
import { originalOf, readIdentity } from "./state-dir";

/** What a cloud has in the container engine. */
export interface Belongings {
  readonly containers: readonly Docker.ContainerInfo[];
  readonly volumes: readonly Docker.VolumeInspectInfo[];
  readonly networks: readonly Docker.NetworkInspectInfo[];
}

type Labels = Readonly<Record<string, string>>;

/** Everything in the engine that carries the cloud's name and is the cloud's own, or else somebody else's. */
export async function belongings(cloud: Cloud, docker: Docker, whose: "own" | "foreign"): Promise<Belongings> {
  const filters = { label: [`${LABEL.cloud}=${cloud.name}`] };
  const [containers, volumes, networks] = await Promise.all([
    docker.listContainers({ all: true, filters }),
    docker.listVolumes({ filters }),
    docker.listNetworks({ filters }),
  ]);
  const matches = ({ Labels }: { Labels?: Labels | null }): boolean => isOwn(cloud, Labels ?? {}) === (whose === "own");
  return {
    containers: containers.filter(matches),
    volumes: (volumes.Volumes ?? []).filter(matches),
    networks: networks.filter(matches),
  };
}

const all = ({ containers, volumes, networks }: Belongings): { Labels?: Labels | null }[] => [
  ...containers,
  ...volumes,
  ...networks,
];

/** The state directories that are named by what exists. */
const directoriesOf = (things: Belongings): string[] => [
  ...new Set(all(things).flatMap(({ Labels }) => Labels?.[LABEL.stateDir] ?? [])),
];

/**
 * @throws UserError if this checkout is a copy, and the checkout that it was copied from has the cloud.
 * @param own what exists, if that is known already.
 */
export function refuseCopy(cloud: Cloud, own?: Belongings): void {
  const running = daemonsOf(cloud).flatMap((daemon) => runningElsewhere(daemon) ?? []);
  const original = originalOf(cloud.stateDir, own && directoriesOf(own)) ?? running[0];
  if (original === undefined) return;
  throw new UserError(
    `This checkout is a copy: its local cloud "${cloud.name}" belongs to the checkout with the state directory ${original}.`,
    `Work there, or give this checkout a cloud of its own: remove ${cloud.stateDir} and the stacks beside it in .lab, and choose another name and port with LAB_CLOUD and awsEndpoint.`,
  );
}

/** Somebody else's cloud of the same name: all that it has, and its state directory if that can be seen from here. */
export interface Foreign {
  readonly things: Belongings;
  readonly seenAt: string | undefined;
}

/** Looks for somebody else's cloud of the same name. */
export async function findForeign(cloud: Cloud, docker: Docker): Promise<Foreign | undefined> {
  const things = await belongings(cloud, docker, "foreign");
  const present = all(things);
  if (present.length === 0) return undefined;
  const owner = present.find(({ Labels }) => {
    const identity = readIdentity(Labels?.[LABEL.stateDir] ?? "");
    return identity !== undefined && identity.id === (Labels?.[LABEL.owner] ?? identity.id);
  });
  return { things, seenAt: owner?.Labels?.[LABEL.stateDir] };
}

/** @throws UserError that names what exists, and what to do about it. */
export function refuseForeign(cloud: Cloud, { things, seenAt }: Foreign): never {
  if (seenAt !== undefined)
    throw new UserError(
      `There is already a local cloud named "${cloud.name}", with its state in ${seenAt}.`,
      "Take it down, or choose another name with LAB_CLOUD, and another port: for make, in the stack's awsEndpoint; for cloud/cli.ts, with LAB_CLOUD_PORT.",
    );
  const machines = things.containers.filter(({ Labels }) => Labels[LABEL.kind] === "machine").length;
  const counts = `${machines} machines, ${things.volumes.length} volumes and ${things.networks.length} networks`;
  throw new UserError(
    `There is already a local cloud named "${cloud.name}" (${counts}), and its state directory, ${directoriesOf(things).join(" or ")}, cannot be seen from here or has lost it.`,
    "If nobody needs it, remove it with all its data by running the same command with ABANDONED=remove. If it is in use, as from another container, choose another name with LAB_CLOUD, and another port: for make, in the stack's awsEndpoint; for cloud/cli.ts, with LAB_CLOUD_PORT.",
  );
}
