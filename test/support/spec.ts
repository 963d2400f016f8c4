/** Specifications for tests. */
import { type ClusterSpec, clusterSpec } from "../../cluster/spec";
import { type Config, type ConfigSource, parseConfig } from "../../cluster/config";
import { readSshKey } from "../../lib/ssh-key";
import { readProjectFile } from "../../tools/project-file";
import { completeConfig } from "../../cluster/config/complete";

/** The configuration with these values and the defaults in Pulumi.yaml. @throws if it is not valid. */
export function config(values: Readonly<Record<string, unknown>> = {}, source: Partial<ConfigSource> = {}): Config {
  const parsed = parseConfig(completeConfig(readProjectFile(), { adminCidr: "203.0.113.7/32", ...values }), {
    stack: "dev",
    readSshKey,
    ...source,
  });
  if ("faults" in parsed) throw new Error(JSON.stringify(parsed.faults));
  return parsed.config;
}

/** The specification for these values and the defaults in Pulumi.yaml. */
export const spec = (values: Readonly<Record<string, unknown>> = {}): ClusterSpec => clusterSpec(config(values));
