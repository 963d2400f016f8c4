import Docker from "dockerode";
import { Images } from "../images";
import { Cloud } from "../names";
import { Api } from "./desired";

/** What every part of the hypervisor works with. */
export interface Context {
  readonly cloud: Cloud;
  readonly docker: Docker;
  readonly api: Api;
  readonly images: Images;
  /** Directory of the release mirror, or undefined if this cloud has none. */
  readonly releasesDir: string | undefined;
  /** Directory of the image registry, or undefined if this cloud has none. */
  readonly registryDir: string | undefined;
  /** Whether machines carry the releases in /opt/releases. */
  readonly preload: boolean;
  /** Containers that ran before this moment were stopped with the engine or the host. */
  readonly engineStartedAt: () => Date;
}

/** Writes a line with the time to the hypervisor's log. */
export function log(message: string): void {
  process.stdout.write(`${new Date().toISOString()} ${message}\n`);
}

/** The status code of an error of the engine, to tell "there is none" from a fault. */
export function statusCode(error: unknown): number | undefined {
  return (error as { statusCode?: number }).statusCode;
}
