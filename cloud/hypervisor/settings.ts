import { Images } from "../images";
import { Cloud } from "../names";

/** What the command line hands to the hypervisor's process, as JSON. */
export interface Settings {
  readonly cloud: Cloud;
  readonly images: Images;
  readonly releasesDir: string | undefined;
  readonly registryDir: string | undefined;
  readonly preload: boolean;
}
