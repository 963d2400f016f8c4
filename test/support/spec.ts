/** Specifications for tests. */
import { type ClusterSpec, clusterSpec } from "../../cluster/spec";
import { parseConfig } from "../../cluster/config";
import { readSshKey } from "../../lib/ssh-key";
import { readProjectFile } from "../../tools/project-file";
import { completeConfig } from "../../cluster/config/complete";

/** The specification for these values and the defaults in Pulumi.yaml. */
export function spec(values: Record<string, unknown> = {}): ClusterSpec {
  const parsed = parseConfig(completeConfig(readProjectFile(), { adminCidr: "203.0.113.7/32", ...values }), {
    stack: "dev",
    readSshKey,
  });
  if ("faults" in parsed) throw new Error(JSON.stringify(parsed.faults));
  return clusterSpec(parsed.config);
}
