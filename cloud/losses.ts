/** What a cloud has lost, for its user to be told. */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Cloud } from "./names";

/** What the EC2 API could not read back when it was last started, if anything. It is said once. */
export function takeLosses(cloud: Cloud): string | undefined {
  const file = join(cloud.stateDir, "ec2-api.lost");
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return undefined;
  } finally {
    rmSync(file, { force: true });
  }
}

/** What has become of machines that the API does not know, given the names of their containers. */
export function describeUnknown(containers: readonly string[]): string | undefined {
  if (containers.length === 0) return undefined;
  return (
    `The EC2 API does not know these machines, because its state is older than they are: ${containers.join(", ")}. ` +
    "They are shut down, and their disks are kept, until the cloud is taken down."
  );
}
