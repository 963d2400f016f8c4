/** Finds what is known to be wrong before anything is installed, built or created. */
import { EC2Client } from "@aws-sdk/client-ec2";
import { execaSync } from "execa";
import { statfsSync } from "node:fs";
import { totalmem } from "node:os";
import { UserError } from "../lib/errors";
import { root } from "./places";
import type { Stack } from "./stack";

/** @throws UserError that lists all faults of the configuration, or everything that the stack's cloud lacks. */
export async function preflight(stack: Stack): Promise<void> {
  stack.config();
  if (stack.isLocal) return checkMachine();
  refuseOverrides(stack);
  await checkCredentials(stack);
}

/** For a stack on AWS, Pulumi reads the committed file, which a run must not change. */
function refuseOverrides({ name, overridden }: Stack): void {
  if (overridden.length)
    throw new UserError(
      `Only stacks of the local cloud take ${overridden.join(", ")} from the command line; ${name} is on AWS.`,
      `Set it in the stack's configuration: pulumi config set ${overridden[0]} VALUE --stack ${name}`,
    );
}

/** @throws UserError if there are no AWS credentials. Whether they are valid is left to AWS. */
export async function checkCredentials({ name, region }: Stack): Promise<void> {
  try {
    await new EC2Client({ region }).config.credentials();
  } catch (error) {
    throw new UserError(
      `Stack ${name} is on AWS, and there are no AWS credentials (${(error as Error).message.split("\n")[0]}).`,
      "Log in (aws sso login, aws configure) or set AWS_PROFILE. Without an AWS account: make up STACK=local",
    );
  }
}

/** @throws UserError that lists everything this machine lacks for a local cluster. */
function checkMachine(): void {
  const faults = lacks(facts());
  if (faults.length) throw new UserError(faults.map((fault) => `- ${fault}`).join("\n"));
}

/** Facts about this machine, separate from the conclusions. */
export interface MachineFacts {
  readonly platform: string;
  readonly architecture: string;
  readonly isRoot: boolean;
  /** In bytes. */
  readonly totalMemory: number;
  readonly freeDisk: number;
  /** Version of Python; undefined if the command is missing. */
  readonly python?: string;
  readonly hasApt: boolean;
  readonly dockerAnswers: boolean;
}

const GiB = 2 ** 30;
const inGiB = (bytes: number): string => `${(bytes / GiB).toFixed(1)} GiB`;

/** What the machine lacks, as one line per fault with its remedy. Pure. */
export function lacks(facts: MachineFacts): string[] {
  const faults: string[] = [];
  if (facts.platform !== "linux")
    faults.push(
      `The local cloud runs only on Linux, and this is ${facts.platform}. Use a Linux machine, or AWS: make up STACK=dev`,
    );
  if (!["x64", "arm64"].includes(facts.architecture))
    faults.push(`The processor architecture ${facts.architecture} is not supported. Use an x86-64 or arm64 machine.`);
  if (facts.platform === "linux" && !facts.isRoot)
    faults.push(
      "The local cloud creates networks, firewalls and machines, so it needs root: sudo -E make up. A stack on AWS does not: make up STACK=dev",
    );
  if (facts.totalMemory < 4 * GiB)
    faults.push(
      `A local cluster needs about 3 GiB of memory, and this machine has ${inGiB(facts.totalMemory)} in total. Use a machine with 4 GiB or more.`,
    );
  if (facts.freeDisk < 12 * GiB)
    faults.push(
      `Builds, images and machines need 12 GiB of free disk space, and the checkout's file system has ${inGiB(facts.freeDisk)} left. Free some space.`,
    );
  if (!facts.python && !facts.hasApt)
    faults.push("The local cloud's EC2 API needs Python 3.10 or newer with pip. Install python3 and python3-pip.");
  if (!facts.dockerAnswers && !facts.hasApt)
    faults.push(
      "No container engine is running, and there is no apt-get to install one with. Install Docker Engine and start it.",
    );
  return faults;
}

function output(command: string, args: string[]): string | undefined {
  const result = execaSync(command, args, { reject: false });
  return result.exitCode === 0 ? result.stdout : undefined;
}

function facts(): MachineFacts {
  const disk = statfsSync(root);
  return {
    platform: process.platform,
    architecture: process.arch,
    isRoot: process.getuid?.() === 0,
    totalMemory: totalmem(),
    freeDisk: disk.bavail * disk.bsize,
    python: output("python3", ["--version"]),
    hasApt: output("apt-get", ["--version"]) !== undefined,
    dockerAnswers: output("docker", ["version", "--format", "{{.Server.Version}}"]) !== undefined,
  };
}
