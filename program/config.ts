/** The only reader of Pulumi's configuration. */
import * as pulumi from "@pulumi/pulumi";
import { type Config, formatFaults, parseConfig } from "../cluster/config";
import { readSshKey } from "../lib/ssh-key";

/**
 * Reads the stack's configuration.
 * @throws pulumi.RunError that lists every fault; Pulumi prints it without a stack trace and exits with an error.
 */
export function readConfig(): Config {
  const stack = pulumi.getStack();
  const prefix = `${pulumi.getProject()}:`;
  const ours = Object.entries(pulumi.runtime.allConfig()).filter(([key]) => key.startsWith(prefix));
  const raw = Object.fromEntries(ours.map(([key, value]) => [key.slice(prefix.length), value]));
  const secretKeys = Object.keys(raw).filter((key) => isConfigSecret(prefix + key));
  const result = parseConfig(raw, { stack, secretKeys, readSshKey });
  if ("faults" in result) throw new pulumi.RunError(formatFaults(result.faults, stack));
  refuseProfile(result.config);
  return result.config;
}

/** The AWS provider loads a profile that the shell names even if it has keys already, and fails if it cannot. */
function refuseProfile({ awsEndpoint }: Config): void {
  const profile = process.env["AWS_PROFILE"];
  if (awsEndpoint === undefined || !profile) return;
  throw new pulumi.RunError(
    `AWS_PROFILE is ${profile}, but ${awsEndpoint} takes no AWS credentials.\nUnset it in this shell: unset AWS_PROFILE`,
  );
}

/** Whether a key is encrypted in the stack's file. The SDK exports this function, but its typings do not. */
const { isConfigSecret } = pulumi.runtime as unknown as { isConfigSecret: (key: string) => boolean };
