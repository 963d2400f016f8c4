import { createHash } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { UserError } from "../lib/errors";

/** One local cloud: an EC2 API with its machines. Several run beside each other, told apart by name and port. */
export interface Cloud {
  /** Name, a DNS label; names of containers, volumes and networks derive from it. */
  readonly name: string;
  /** Port of the EC2 API on 127.0.0.1. */
  readonly port: number;
  /** Directory of the cloud's state: processes, logs, what the EC2 API knows. Readable by its owner only. */
  readonly stateDir: string;
}

/** The checkout's own directory for state, beside the stacks'. */
const CHECKOUT = resolve(__dirname, "..");

/** Makes a Cloud from options, environment (LAB_CLOUD, LAB_CLOUD_PORT), what the cloud was started with, and defaults. */
export function cloudOf(options: { name?: string; port?: number } = {}): Cloud {
  const name = options.name ?? process.env["LAB_CLOUD"] ?? "lab";
  if (!/^[a-z][a-z0-9-]{0,30}$/.test(name)) {
    throw new UserError(
      `The name of a local cloud is at most 31 lower-case letters, digits and hyphens, not "${name}".`,
      "Set LAB_CLOUD (or --name) to such a name.",
    );
  }
  const stateDir = join(CHECKOUT, ".lab", "cloud", name);
  const port = options.port ?? Number(process.env["LAB_CLOUD_PORT"] ?? recordedPort(stateDir) ?? 5001);
  if (!Number.isInteger(port) || port < 1 || port > 65535) {
    throw new UserError(
      `The port of the EC2 API is a number from 1 to 65535, not "${process.env["LAB_CLOUD_PORT"] ?? port}".`,
      "Set LAB_CLOUD_PORT (or --port) to a free port.",
    );
  }
  return { name, port, stateDir };
}

/** File of a cloud's state directory that says what it was started with. */
export const settingsFile = (stateDir: string): string => join(stateDir, "hypervisor-settings.json");

function recordedPort(stateDir: string): number | undefined {
  try {
    return (JSON.parse(readFileSync(settingsFile(stateDir), "utf8")) as { cloud: { port: number } }).cloud.port;
  } catch {
    return undefined; // never started
  }
}

/** Creates the cloud's state directory, closed to other users. */
export function prepareStateDir(cloud: Cloud): void {
  mkdirSync(cloud.stateDir, { recursive: true, mode: 0o700 });
}

/** Labels of everything that the cloud makes in the container engine. */
export const LABEL = {
  cloud: "kubernetes-from-scratch.cloud",
  stateDir: "kubernetes-from-scratch.state-dir",
  kind: "kubernetes-from-scratch.kind",
  id: "kubernetes-from-scratch.id",
  vpc: "kubernetes-from-scratch.vpc",
  region: "kubernetes-from-scratch.region",
  hash: "kubernetes-from-scratch.hash",
} as const;

/** What a container of the cloud is there for. */
export type Kind = "machine" | "resolver" | "gateway" | "balancer";

/** The labels that tie a container, volume or network to its cloud. */
export function ownerLabels(cloud: Cloud): Record<string, string> {
  return { [LABEL.cloud]: cloud.name, [LABEL.stateDir]: cloud.stateDir };
}

/** Name of a container, volume or network: by cloud, kind and id, so that it says what it is in `docker ps`. */
export function nameOf(cloud: Cloud, kind: string, id: string): string {
  return `kfs-${cloud.name}-${kind}-${id}`;
}

/** Start of the names of the cloud's bridges; an interface's name has at most 15 characters. */
export function bridgePrefix(cloud: Cloud): string {
  return `k${createHash("sha256").update(cloud.stateDir).digest("hex").slice(0, 4)}-`;
}

/** Name of a VPC's bridge on the host. */
export function bridgeOf(cloud: Cloud, vpcId: string): string {
  return bridgePrefix(cloud) + vpcId.slice(-9);
}
