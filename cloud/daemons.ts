/** The processes of a cloud. */
import type { Daemon } from "../lib/process";
import type { Cloud } from "./names";

/** The process that turns what the API says into machines and networks. */
export const hypervisorOf = ({ stateDir }: Cloud): Daemon => ({ name: "hypervisor", directory: stateDir });

/** The EC2 API's process. */
export const ec2ApiOf = ({ stateDir }: Cloud): Daemon => ({ name: "ec2-api", directory: stateDir });

export const daemonsOf = (cloud: Cloud): Daemon[] => [hypervisorOf(cloud), ec2ApiOf(cloud)];
