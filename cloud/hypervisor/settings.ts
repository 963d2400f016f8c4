/** The settings that a cloud is started with. */
import { Images } from "../images";
import { Cloud } from "../names";

/** Passed to the hypervisor's process as a JSON file, and read again when the cloud is next started. */
export interface Settings {
  readonly cloud: Cloud;
  /** Address of the container engine that has the cloud's machines. Missing in clouds of earlier versions. */
  readonly engine: string;
  /** The code that the cloud's processes were started with. Missing in clouds of earlier versions. */
  readonly code: string;
  readonly images: Images;
  readonly releasesDir: string | undefined;
  readonly registryDir: string | undefined;
  readonly preload: boolean;
  /** Services that machines may reach although their addresses are the host's or private. Missing in earlier versions. */
  readonly alsoReachable?: Readonly<Record<string, readonly Service[]>>;
}

/** A TCP service at an IPv4 address. */
export interface Service {
  readonly address: string;
  readonly port: number;
}
