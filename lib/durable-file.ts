/** Files that survive a kill, a power cut and a full disk: they have their old content or their new, never a part of it. */
import {
  closeSync,
  existsSync,
  fchmodSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { UserError } from "./errors";

interface Options {
  /** By default that of the file that is replaced, or closed to other users. */
  readonly mode?: number;
  readonly encoding?: BufferEncoding;
  /** Where the new file is until it is complete, in the same folder. By default, processes do not share it. */
  readonly partial?: string;
}

/**
 * Replaces a file, or creates it and its folder. On return it is on disk, name and content.
 * @throws UserError if there is no space; the file is as it was then.
 */
export function replaceFile(path: string, content: string, options: Options = {}): void {
  place(path, content, options, (partial) => renameSync(partial, path));
}

/** Creates a file that does not exist yet. Of several processes that try, one succeeds. Returns whether this one did. */
export function createFile(path: string, content: string, options: Options = {}): boolean {
  try {
    place(path, content, options, (partial) => {
      linkSync(partial, path); // unlike a rename, this never replaces a file
      rmSync(partial);
    });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Writes a file beside the path, gives it that name, and waits until all of it is on disk. */
function place(path: string, content: string, options: Options, name: (partial: string) => void): void {
  const { mode = modeOf(path) ?? 0o600, encoding = "utf8", partial = `${path}.${process.pid}.new` } = options;
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  removeAbandoned(path);
  try {
    writeSynced(partial, content, mode, encoding);
    name(partial);
  } catch (error) {
    rmSync(partial, { force: true });
    throw explained(error, path);
  }
  syncFolder(dirname(path));
}

/** Removes the incomplete files that processes left beside a file when they were killed. */
function removeAbandoned(path: string): void {
  const prefix = `${basename(path)}.`;
  for (const name of readdirSync(dirname(path))) {
    const [, pid] = (name.startsWith(prefix) && /^(\d+)\.new$/.exec(name.slice(prefix.length))) || [];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) rmSync(join(dirname(path), name), { force: true });
  }
}

/** Writes a file in place, and waits until its content is on disk. */
function writeSynced(path: string, content: string, mode: number, encoding: BufferEncoding): void {
  const file = openSync(path, "w", mode);
  try {
    fchmodSync(file, mode); // the umask may have taken something away, and a file that was there keeps its mode
    writeFileSync(file, content, { encoding });
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Waits until the names in a folder are on disk. */
function syncFolder(path: string): void {
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** A full disk is the user's to fix; any other error stays as it is. */
function explained(error: unknown, path: string): unknown {
  if (!["ENOSPC", "EDQUOT"].includes((error as NodeJS.ErrnoException).code ?? "")) return error;
  return new UserError(
    `There is no space left to write ${path}. What it contained is still there.`,
    "Free some space on its file system, and run the same command again.",
  );
}

function modeOf(path: string): number | undefined {
  return (statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & 0o777 || undefined;
}
