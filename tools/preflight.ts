/** What the reader's machine must have before a local cluster is built: every lack at once, with its remedy. */
import { EC2Client } from "@aws-sdk/client-ec2";
import { execaSync } from "execa";
import { statfsSync } from "node:fs";
import { freemem, totalmem } from "node:os";
import { UserError } from "../lib/errors";
import { root } from "./places";

/** Facts about the machine, gathered apart from what is concluded from them. */
export interface MachineFacts {
  readonly platform: string;
  readonly architecture: string;
  readonly isRoot: boolean;
  /** Bytes. */
  readonly totalMemory: number;
  readonly freeMemory: number;
  readonly freeDisk: number;
  /** Version texts; undefined where the command is missing. */
  readonly python?: string;
  readonly hasApt: boolean;
  readonly dockerAnswers: boolean;
}

const GiB = 2 ** 30;

/** Concludes what is lacking. Pure: facts in, one line per fault out. */
export function lacks(facts: MachineFacts): string[] {
  const faults: string[] = [];
  if (facts.platform !== "linux")
    faults.push(
      `The local cloud runs on Linux only, this is ${facts.platform}. Use a Linux machine, or AWS: make up STACK=dev`,
    );
  if (!["x64", "arm64"].includes(facts.architecture))
    faults.push(`The processor architecture ${facts.architecture} is not supported: x86-64 or arm64 is needed.`);
  if (facts.platform === "linux" && !facts.isRoot)
    faults.push(
      "The local cloud makes networks, firewalls and machines, so it needs root: sudo -E make up. (A stack on AWS does not: make up STACK=dev)",
    );
  if (facts.totalMemory < 4 * GiB)
    faults.push(
      `A local cluster needs about 3 GiB of memory, this machine has ${(facts.totalMemory / GiB).toFixed(1)} GiB in all.`,
    );
  if (facts.freeDisk < 12 * GiB)
    faults.push(
      `12 GiB of free disk are needed for builds, images and machines, ${(facts.freeDisk / GiB).toFixed(1)} GiB are left where the checkout is.`,
    );
  if (!facts.python && !facts.hasApt)
    faults.push("python3 with venv is needed for the EC2 API of the local cloud: install python3 and python3-venv.");
  if (!facts.dockerAnswers && !facts.hasApt)
    faults.push(
      "No container engine answers, and there is no apt-get to install one with: install Docker Engine and start it.",
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
    freeMemory: freemem(),
    freeDisk: disk.bavail * disk.bsize,
    python: output("python3", ["--version"]),
    hasApt: output("apt-get", ["--version"]) !== undefined,
    dockerAnswers: output("docker", ["version", "--format", "{{.Server.Version}}"]) !== undefined,
  };
}

/** @throws UserError where nothing says as whom AWS is asked; whether AWS accepts it is for AWS to say. */
export async function awsPreflight(stack: string): Promise<void> {
  try {
    await new EC2Client({ region: "us-east-1" }).config.credentials();
  } catch (error) {
    throw new UserError(
      `Stack ${stack} is on AWS, and there are no AWS credentials (${(error as Error).message.split("\n")[0]}).`,
      "Log in (aws sso login, aws configure) or set AWS_PROFILE; without an AWS account: make up STACK=local",
    );
  }
}

/** @throws UserError that lists everything this machine lacks for a local cluster. */
export function preflight(): void {
  const faults = lacks(facts());
  if (faults.length) throw new UserError(faults.map((fault) => `- ${fault}`).join("\n"));
}
