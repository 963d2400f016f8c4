/**
 * The configuration that a stack of the local cloud runs with: its file at the top of the checkout, plus what this run
 * overrides (STAGE, a test's values), kept in .lab/<stack>/ so that Pulumi's encryption salt and a passing override never
 * dirty a committed file.
 */
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { type Config, formatFaults, parseConfig } from "../cluster/config";
import { completeConfig } from "../cluster/config/complete";
import { UserError } from "../lib/errors";
import { readSshKey } from "../lib/ssh-key";
import { project, root, stackDir } from "./places";

/** A stack file as Pulumi writes it: `config` holds namespaced keys. */
interface StackFile {
  encryptionsalt?: string;
  config?: Record<string, unknown>;
  [key: string]: unknown;
}

/** Values by key of this project's namespace, such as {workerCount: 3}; undefined removes the key. */
export type Overrides = Readonly<Record<string, unknown>>;

/** Path of the committed file of a stack. */
export const committedFile = (stack: string): string => join(root, `Pulumi.${stack}.yaml`);
/** Path of the file that Pulumi is given for a stack of the local cloud. */
export const effectiveFile = (stack: string): string => join(stackDir(stack), `Pulumi.${stack}.yaml`);

function read(path: string): StackFile | undefined {
  if (!existsSync(path)) return undefined;
  try {
    return (parse(readFileSync(path, "utf8")) as StackFile | null) ?? {};
  } catch (error) {
    throw new UserError(`${path} is not valid YAML: ${(error as Error).message.split("\n")[0]}`);
  }
}

/**
 * Configuration of a stack as this project's keys, without the namespace.
 * @throws UserError where the stack has no file.
 */
export function stackConfig(stack: string): Record<string, unknown> {
  const file = read(committedFile(stack)) ?? read(effectiveFile(stack));
  if (!file) {
    throw new UserError(
      `There is no stack "${stack}": Pulumi.${stack}.yaml does not exist. ` +
        `Copy the preset that is nearest (Pulumi.local.yaml, Pulumi.dev.yaml, Pulumi.ha.yaml) to that name, or name one of them: make up STACK=local`,
    );
  }
  const prefix = `${project}:`;
  return Object.fromEntries(
    Object.entries(file.config ?? {})
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, value]) => [key.slice(prefix.length), value]),
  );
}

/**
 * Port of the EC2-compatible API on loopback of a stack of the local cloud; undefined for a stack on AWS.
 * @throws UserError where the stack has no configuration, or its awsEndpoint is no URL.
 */
export function localPort(stack: string): number | undefined {
  const endpoint = stackConfig(stack)["awsEndpoint"];
  if (typeof endpoint !== "string") return undefined;
  const url = URL.parse(endpoint);
  if (!url) throw new UserError(`awsEndpoint of stack ${stack} is not a URL: ${endpoint}`);
  return ["127.0.0.1", "localhost"].includes(url.hostname) ? Number(url.port) : undefined;
}

/**
 * The configuration as the program will see it.
 * @throws UserError that lists every fault, before Pulumi is started.
 */
export function checkedConfig(stack: string, overrides: Overrides = {}): Config {
  const values = Object.entries({ ...stackConfig(stack), ...overrides }).filter(([, value]) => value !== undefined);
  // an encrypted value is Pulumi's to read: the program checks it
  const plain = values.filter(([, value]) => typeof value !== "object" || value === null || !("secure" in value));
  const parsed = parseConfig(completeConfig(Object.fromEntries(plain)), {
    stack,
    secretKeys: ["encryptionKey"],
    readSshKey,
  });
  if ("faults" in parsed) throw new UserError(formatFaults(parsed.faults, stack));
  return parsed.config;
}

/** Whether a stack's file holds encrypted values, which only its own salt opens. */
const hasSecrets = ({ config = {} }: StackFile): boolean =>
  Object.values(config).some((value) => typeof value === "object" && value !== null && "secure" in value);

/**
 * Merges a stack's file with overrides into the file that Pulumi is given. Pure. A salt that Pulumi wrote into the committed
 * file without need may be of another passphrase by now, so it counts only where something is encrypted with it.
 */
export function mergeStackFile(committed: StackFile, earlier: StackFile | undefined, overrides: Overrides): StackFile {
  const { encryptionsalt: own, ...rest } = committed;
  const config: Record<string, unknown> = { ...rest.config };
  for (const [key, value] of Object.entries(overrides)) {
    if (value === undefined) delete config[`${project}:${key}`];
    else config[`${project}:${key}`] = value;
  }
  const encryptionsalt = hasSecrets(committed) ? own : earlier?.encryptionsalt;
  return { ...rest, ...(encryptionsalt ? { encryptionsalt } : {}), config };
}

/** Takes the salt of a former stack out of a stack's file, where nothing in it is encrypted; the rest stays as it is. */
export async function forgetSalt(stack: string): Promise<void> {
  const path = committedFile(stack);
  const file = read(path);
  if (!file?.encryptionsalt || hasSecrets(file)) return;
  await writeFile(path, readFileSync(path, "utf8").replace(/^encryptionsalt: .*\n?/m, ""));
}

/** Writes the effective file of a stack and returns its path. */
export async function writeEffectiveFile(stack: string, overrides: Overrides): Promise<string> {
  const earlier = read(effectiveFile(stack));
  const committed = read(committedFile(stack)) ?? earlier ?? {};
  mkdirSync(stackDir(stack), { recursive: true, mode: 0o700 });
  const path = effectiveFile(stack);
  await writeFile(path, stringify(mergeStackFile(committed, earlier, overrides)), { mode: 0o600 });
  return path;
}
