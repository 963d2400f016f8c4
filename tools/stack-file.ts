/** The YAML files of a stack: how they are read, and how the values of a run are put on top of the committed ones. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { replaceFile } from "../lib/durable-file";
import { UserError } from "../lib/errors";
import { project, root, stackDir } from "./places";

/** A stack file as Pulumi writes it: `config` holds namespaced keys. */
export interface StackFile {
  encryptionsalt?: string;
  config?: Record<string, unknown>;
  [key: string]: unknown;
}

/** Values by key of this project's namespace, such as {workerCount: 3}; undefined removes the key. */
export type Overrides = Readonly<Record<string, unknown>>;

/** Path of a stack's committed file. */
export const committedFile = (stack: string): string => join(root, `Pulumi.${stack}.yaml`);
/** Path of the file that Pulumi is given for a stack of the local cloud. */
export const effectiveFile = (stack: string): string => join(stackDir(stack), `Pulumi.${stack}.yaml`);

/**
 * Reads a stack's file; undefined if it does not exist.
 * @throws UserError if it is not YAML.
 */
export function readStackFile(path: string): StackFile | undefined {
  try {
    return (parse(readFileSync(path, "utf8")) as StackFile | null) ?? {};
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    if ((error as Error).name !== "YAMLParseError") throw error;
    throw new UserError(`${path} is not valid YAML: ${(error as Error).message.split("\n")[0]}`);
  }
}

/** Whether a value is encrypted by Pulumi, so that nothing else can read it. */
export const isEncrypted = (value: unknown): boolean =>
  typeof value === "object" && value !== null && "secure" in value;

/** Whether a stack's file contains encrypted values, which can only be decrypted with its own salt. */
const hasSecrets = ({ config = {} }: StackFile): boolean => Object.values(config).some(isEncrypted);

/** The values of this project in a stack's file, by key without the namespace. */
export function projectValues({ config = {} }: StackFile): Record<string, unknown> {
  const prefix = `${project}:`;
  const ours = Object.entries(config).filter(([key]) => key.startsWith(prefix));
  return Object.fromEntries(ours.map(([key, value]) => [key.slice(prefix.length), value]));
}

/**
 * The configuration of a run: a stack's file with the run's values on top. Pure. Pulumi may have written a salt into the
 * committed file unnecessarily, for a passphrase that no longer exists. It counts only if something is encrypted with it.
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

/** Whether a stack's file has a salt with which nothing in it is encrypted, such as one left by an earlier stack. */
export const hasUnusedSalt = (file: StackFile): boolean => file.encryptionsalt !== undefined && !hasSecrets(file);

/** Removes the salt from a stack's file. Reads the file again, because its owner may have edited it in the meantime. */
export function removeSalt(path: string): void {
  replaceFile(path, readFileSync(path, "utf8").replace(/^encryptionsalt: .*\n?/m, ""));
}
