/**
 * A stack as its files describe it. A command opens its stack once and passes it on, so that every part of a run sees the
 * same configuration: the committed file with this run's values (STAGE, --values) on top.
 */
import { existsSync, globSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { type Config, formatFaults, parseConfig, type RawConfig } from "../cluster/config";
import { formatRefusals, refusedChanges } from "../cluster/config/changes";
import { completeConfig } from "../cluster/config/complete";
import { UserError } from "../lib/errors";
import { readSshKey } from "../lib/ssh-key";
import { project, root, stackDir, stateDir } from "./places";
import { readProjectFile } from "./project-file";
import {
  committedFile,
  effectiveFile,
  hasUnusedSalt,
  isEncrypted,
  mergeStackFile,
  type Overrides,
  projectValues,
  readStackFile,
  type StackFile,
} from "./stack-file";

export class Stack {
  /** Folder of the stack's files: .lab/<name>. */
  readonly dir: string;
  /** Content of the file that Pulumi is given for a stack of the local cloud. */
  readonly effective: StackFile;
  /** Keys that have a value for this run only. */
  readonly overridden: readonly string[];
  /** Whether the committed file has a salt with which nothing is encrypted. */
  readonly hasUnusedSalt: boolean;
  /** AWS region. */
  readonly region: string;
  /** URL of an EC2-compatible API that replaces AWS. */
  readonly awsEndpoint: string | undefined;
  /** Every value as the program gets it, defaults included; encrypted values are left out. */
  private readonly raw: RawConfig;
  private readonly secretKeys: readonly string[];
  private checked: Config | undefined;

  /**
   * @param committed the stack's own file; undefined if it was removed while the stack exists.
   * @param earlier the effective file of the previous run, if any.
   * @throws UserError if the stack has neither.
   */
  constructor(
    readonly name: string,
    { committed, earlier }: { committed?: StackFile | undefined; earlier?: StackFile | undefined },
    overrides: Overrides = {},
  ) {
    const own = committed ?? earlier;
    if (!own) throw noSuchStack(name);
    this.dir = stackDir(name);
    this.effective = mergeStackFile(own, earlier, overrides);
    this.overridden = Object.keys(overrides).filter((key) => overrides[key] !== undefined);
    this.hasUnusedSalt = committed !== undefined && hasUnusedSalt(committed);
    const values = Object.entries(projectValues(this.effective));
    this.secretKeys = values.filter(([, value]) => isEncrypted(value)).map(([key]) => key);
    this.raw = completeConfig(readProjectFile(), Object.fromEntries(values.filter(([, value]) => !isEncrypted(value))));
    this.region = this.raw["region"]?.trim() ?? "";
    this.awsEndpoint = this.raw["awsEndpoint"]?.trim() || undefined;
  }

  /**
   * The configuration as the program will see it, except for encrypted values, which only Pulumi can read; the program
   * checks those. It is not needed to destroy a stack, so that an invalid configuration does not prevent that.
   * @throws UserError that lists every fault, before Pulumi is started.
   */
  config(): Config {
    this.checked ??= this.check();
    return this.checked;
  }

  private check(): Config {
    const parsed = parseConfig(this.raw, { stack: this.name, secretKeys: this.secretKeys, readSshKey });
    if ("faults" in parsed) throw new UserError(formatFaults(parsed.faults, this.name));
    return parsed.config;
  }

  /**
   * Port of the local cloud's EC2 API on loopback; undefined for a stack on AWS.
   * @throws UserError if awsEndpoint is not a URL.
   */
  get port(): number | undefined {
    if (this.awsEndpoint === undefined) return undefined;
    const url = URL.parse(this.awsEndpoint);
    if (!url)
      throw new UserError(
        `awsEndpoint of stack ${this.name} is not a URL: ${this.awsEndpoint}.`,
        `Set one like http://127.0.0.1:5001: pulumi config set awsEndpoint URL --stack ${this.name}`,
      );
    return ["127.0.0.1", "localhost"].includes(url.hostname) ? Number(url.port || 80) : undefined;
  }

  /** The networks of its machines, pods and services, as CIDR blocks. Not checked: destroying does not need that. */
  get networks(): string[] {
    return ["vpcCidr", "podCidr", "serviceCidr"].flatMap((key) => this.raw[key] ?? []);
  }

  /** Whether the stack runs on the local cloud. */
  get isLocal(): boolean {
    return this.port !== undefined;
  }
}

/**
 * Opens a stack as it was last built, to destroy it. For a local stack, its committed file does not matter, which may be
 * invalid, another's, or gone by now.
 * @param port of the local cloud, in case that nothing else of a stack is left than its resources.
 * @throws UserError if there is no such stack here, and no valid file that describes it.
 */
export function openBuiltStack(name: string, port: () => number): Stack {
  if (!isInLocalState(name)) return openStack(name);
  const lastResort = { config: { [`${project}:awsEndpoint`]: `http://127.0.0.1:${port()}` } };
  const [earlier, committed] = [effectiveFile(name), committedFile(name)].map(readIfValid);
  for (const file of [earlier, committed, lastResort]) {
    const stack = file && new Stack(name, { committed: file, earlier });
    if (stack && URL.canParse(stack.awsEndpoint ?? "") && stack.isLocal) return stack;
  }
  return openStack(name);
}

const noSuchStack = (name: string): UserError =>
  new UserError(
    `There is no stack "${name}": Pulumi.${name}.yaml does not exist.`,
    "Copy the nearest preset (Pulumi.local.yaml, Pulumi.dev.yaml, Pulumi.ha.yaml) to that name, or use a preset: make up STACK=local",
  );

/** @throws UserError if nothing of a stack is here, such as for a misspelt name. Does not look into any file. */
export function refuseUnknown(name: string): void {
  const isHere = existsSync(stackDir(name)) || isInLocalState(name);
  if (!isHere && !readdirSync(root).includes(basename(committedFile(name)))) throw noSuchStack(name);
}

const isInLocalState = (name: string): boolean =>
  globSync(join(stateDir, ".pulumi", "stacks", "**", `${name}.json{,.gz}`)).length > 0;

function readIfValid(path: string): StackFile | undefined {
  try {
    return readStackFile(path);
  } catch {
    return undefined;
  }
}

/**
 * Opens a stack: reads its files, each once.
 * @param overrides values for this run only.
 * @throws UserError if the stack has no file, or one that is not YAML.
 */
export function openStack(name: string, overrides: Overrides = {}): Stack {
  const files = { committed: readStackFile(committedFile(name)), earlier: readStackFile(effectiveFile(name)) };
  const stack = new Stack(name, files, overrides);
  if (isInLocalState(name)) refuseToLeaveLocalCloud(stack, files.earlier);
  return stack;
}

/** A stack on AWS has another backend, from which a cluster on the local cloud cannot be seen. */
function refuseToLeaveLocalCloud({ name, awsEndpoint = "" }: Stack, earlier: StackFile | undefined): void {
  const built = projectValues(earlier ?? { config: {} })["awsEndpoint"];
  if (typeof built !== "string") return;
  const refusals = refusedChanges({ settings: { awsEndpoint: built }, nodes: [] }, { awsEndpoint }, []);
  if (refusals.length > 0) throw new UserError(formatRefusals(refusals, name));
}
