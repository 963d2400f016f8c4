/** Which cloud is meant, where its state is kept, and the names of everything it creates on the host. */
import { createHash } from "node:crypto";
import { join, resolve } from "node:path";
import { UserError } from "../lib/errors";
import { Identity, readIdentity, recordedPort } from "./state-dir";

/** The marks by which a cloud recognises what it owns. Changing one would orphan existing clouds. */
export const brand = {
  /** In labels, image repositories, host directories and markers in files. */
  name: "kubernetes-from-scratch",
  /** The same, in a form that nftables accepts. */
  identifier: "kubernetes_from_scratch",
  /** Prefix of container, volume and network names. */
  prefix: "kfs",
  /** Prefix of bridge names, which must be short. */
  bridge: "k",
} as const;

/** One local cloud: an EC2 API with its machines. Several can run side by side, each with its own name and port. */
export interface Cloud extends Identity {
  /** A DNS label; the names of containers, volumes and networks are derived from it. */
  readonly name: string;
  /** Port of the EC2 API on 127.0.0.1. */
  readonly port: number;
  /**
   * Absolute path of the directory with process records, logs and the EC2 API's state. Closed to other users. It may move;
   * then the cloud moves with it.
   */
  readonly stateDir: string;
}

/** Identifies a cloud. Its state is in `stateDir`, or in the directory below `stateRoot` named after the cloud. */
export type CloudRef = {
  /** Default: LAB_CLOUD, or "lab" if that is not set. */
  readonly name?: string;
  /** Port of the EC2 API on 127.0.0.1. Default: LAB_CLOUD_PORT, or the port last used, or 5001. */
  readonly port?: number;
} & ({ readonly stateDir: string } | { readonly stateRoot: string });

/**
 * Fills in the defaults.
 * @throws UserError if the name or the port is not valid.
 */
export function cloudOf(ref: CloudRef): Cloud {
  const name = ref.name ?? process.env["LAB_CLOUD"] ?? "lab";
  if (!/^[a-z][a-z0-9-]{0,30}$/.test(name)) {
    throw new UserError(
      `"${name}" is not a valid name for a local cloud.`,
      "Set LAB_CLOUD (or --name) to at most 31 lower-case letters, digits and hyphens, beginning with a letter.",
    );
  }
  const stateDir = resolve("stateDir" in ref ? ref.stateDir : join(ref.stateRoot, name));
  const port = ref.port ?? Number(process.env["LAB_CLOUD_PORT"] ?? recordedPort(stateDir) ?? 5001);
  if (!Number.isInteger(port) || port < 1 || port > 65535) {
    throw new UserError(
      `"${ref.port ?? process.env["LAB_CLOUD_PORT"] ?? port}" is not a valid port for the EC2 API.`,
      "Set LAB_CLOUD_PORT (or --port) to a free port from 1 to 65535.",
    );
  }
  return { name, port, stateDir, ...(readIdentity(stateDir) ?? { id: "", directories: [] }) };
}

/** Labels on everything that the cloud creates in the container engine. */
export const LABEL = {
  cloud: `${brand.name}.cloud`,
  stateDir: `${brand.name}.state-dir`,
  kind: `${brand.name}.kind`,
  id: `${brand.name}.id`,
  vpc: `${brand.name}.vpc`,
  region: `${brand.name}.region`,
  hash: `${brand.name}.hash`,
  owner: `${brand.name}.owner`,
} as const;

/** What one of the cloud's containers is for. */
export type Kind = "machine" | "resolver" | "gateway" | "balancer";

/** The labels that tie a container, volume or network to its cloud. */
export function ownerLabels(cloud: Cloud): Record<string, string> {
  return { [LABEL.cloud]: cloud.name, [LABEL.stateDir]: cloud.stateDir, [LABEL.owner]: cloud.id };
}

/** Whether something with the cloud's name is the cloud's. What was made before clouds had ids names a directory only. */
export function isOwn(cloud: Cloud, labels: Readonly<Record<string, string>>): boolean {
  const owner = labels[LABEL.owner];
  return owner === undefined ? cloud.directories.includes(labels[LABEL.stateDir] ?? "") : owner === cloud.id;
}

/** Name of a container, volume or network, which shows in `docker ps` which cloud it belongs to and what it is for. */
export function nameOf(cloud: Cloud, kind: string, id: string): string {
  return `${brand.prefix}-${cloud.name}-${kind}-${id}`;
}

/**
 * Common prefix of the names of the cloud's bridges; short, because interface names have at most 15 characters. Derived
 * from the first state directory, so that a moved cloud knows its bridges.
 */
export function bridgePrefix({ directories: [first], stateDir }: Cloud): string {
  const hash = createHash("sha256").update(first ?? stateDir);
  return `${brand.bridge}${hash.digest("hex").slice(0, 4)}-`;
}

/** Name of a VPC's bridge on the host. */
export function bridgeOf(cloud: Cloud, vpcId: string): string {
  return bridgePrefix(cloud) + vpcId.slice(-9);
}
