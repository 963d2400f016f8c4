/** What all parts of the hypervisor share. */
import Docker from "dockerode";
import type { EngineClock } from "../container-engine/clock";
import { Images } from "../images";
import { Cloud } from "../names";
import { Api } from "./desired";
import type { Service } from "./settings";

/** The hypervisor's settings and connections. */
export interface Context {
  readonly cloud: Cloud;
  readonly docker: Docker;
  readonly api: Api;
  readonly images: Images;
  /** Directory served at port 8080 of the gateways, or undefined if there is none. */
  readonly releasesDir: string | undefined;
  /** Directory of container images served at /v2/ of the same port, or undefined if there is none. */
  readonly registryDir: string | undefined;
  /** Whether the engine is the private one, which leaves the host's firewall alone. */
  readonly ownEngine: boolean;
  /** Whether `releasesDir` is also mounted on machines, at /opt/releases. */
  readonly preload: boolean;
  /** Services that machines may reach although their addresses are the host's or private, by who asked for them. */
  readonly alsoReachable?: Readonly<Record<string, readonly Service[]>>;
  /** Knows when the engine started: machines that ended before then went down with the engine or the host. */
  readonly engine: EngineClock;
}

/** Writes a line to the hypervisor's log, with the time. */
export function log(message: string): void {
  process.stdout.write(`${new Date().toISOString()} ${message}\n`);
}

/** The HTTP status code of an error from the engine, if it has one; 404 means that the object does not exist. */
export function statusCode(error: unknown): number | undefined {
  return (error as { statusCode?: number }).statusCode;
}
