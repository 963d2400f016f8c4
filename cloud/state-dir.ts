/** What a cloud's state directory says about the cloud: who it is, where it has been, and how it was last started. */
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { replaceFile } from "../lib/durable-file";
import { isLocked } from "../lib/file-lock";

/** Tells a cloud from another one of the same name. It moves with the state directory. */
export interface Identity {
  /** Random; a label on everything that the cloud creates. Empty if the cloud was made before there were ids. */
  readonly id: string;
  /** Every path that the state directory has had. The last one is that of the checkout which last started the cloud. */
  readonly directories: readonly string[];
}

/** File in a cloud's state directory that records the settings it was started with. */
export const settingsFile = (stateDir: string): string => join(stateDir, "hypervisor-settings.json");

const identityFile = (stateDir: string): string => join(stateDir, "identity.json");

/** Held while a cloud is started or taken down. Beside the state directory, because that is removed with the cloud. */
export const lockFile = (stateDir: string): string => `${stateDir}.lock`;

/** The parts of the settings that a state directory is judged by. */
interface Recorded {
  readonly cloud: { readonly port: number; readonly stateDir: string } & Partial<Identity>;
}

/** The EC2 API's port when the cloud was last started. */
export const recordedPort = (stateDir: string): number | undefined =>
  readJson<Recorded>(settingsFile(stateDir))?.cloud.port;

/** The identity of the cloud whose state is in a directory, or undefined if it was never started. */
export function readIdentity(stateDir: string): Identity | undefined {
  const identity = readJson<Identity>(identityFile(stateDir));
  if (identity) return identity;
  const settings = readJson<Recorded>(settingsFile(stateDir));
  if (!settings) return undefined;
  const { id = "", directories = [settings.cloud.stateDir] } = settings.cloud; // older clouds have neither
  return { id, directories };
}

/**
 * Whether a directory is that of a cloud, or of one that is just being started. That it exists says nothing: a container
 * engine that starts creates again what its containers had mounted from a checkout that has been removed.
 */
export const hasCloud = (stateDir: string): boolean =>
  readIdentity(stateDir) !== undefined || isLocked(lockFile(stateDir));

/** Gives the cloud an id if it has none, and records that its state is in this directory now. */
export function recordIdentity(stateDir: string): void {
  const { id = "", directories = [] } = readIdentity(stateDir) ?? {};
  if (id && directories.at(-1) === stateDir) return;
  const known = directories.at(-1) === stateDir ? directories : [...directories, stateDir];
  const identity: Identity = { id: id || randomBytes(8).toString("hex"), directories: known };
  replaceFile(identityFile(stateDir), JSON.stringify(identity), { mode: 0o600 });
}

/**
 * The directory of which this one is a copy: it holds the same cloud, and was the last to start it. Undefined if the
 * cloud is this directory's, also if that is because it was moved here.
 * @param labelled directories that the cloud's containers name.
 */
export function originalOf(stateDir: string, labelled: readonly string[] = []): string | undefined {
  const own = readIdentity(stateDir);
  if (!own || own.directories.at(-1) === stateDir) return undefined;
  return [...own.directories, ...labelled].find((directory) => {
    const other = readIdentity(directory);
    if (other?.directories.at(-1) !== directory || sameDirectory(directory, stateDir)) return false;
    return own.id === "" || other.id === own.id;
  });
}

/** Creates a cloud's state directory, closed to other users. */
export function prepareStateDir(stateDir: string): void {
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
}

/** Whether two paths lead to one directory, as through a bind mount. */
function sameDirectory(a: string, b: string): boolean {
  const [first, second] = [a, b].map((path) => statSync(path));
  return first?.dev === second?.dev && first?.ino === second?.ino;
}

function readJson<T>(file: string): T | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as T;
  } catch {
    return undefined; // missing, or left incomplete by a crash
  }
}
