/**
 * Caches expensive builds outside the checkout, in $XDG_CACHE_HOME/kubernetes-from-scratch, by name, version and
 * recipe. An entry is used only if it is exactly what was built: the SHA-256 of every file is recorded, and checked
 * again after each boot of the machine and whenever the file's inode, size or times have changed. (Any write to a file
 * sets its ctime, which no program can set back. Until the next boot, comparing ctimes is therefore as good as reading
 * gigabytes of files, and takes milliseconds. Silent corruption on disk is found at the first use after a boot.)
 */
import { createHash } from "node:crypto";
import { createReadStream, existsSync, readFileSync, statSync } from "node:fs";
import { mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { bootId } from "./boot-id";
import { withFileLock } from "./file-lock";

/** Something to build once. */
export interface Recipe {
  readonly name: string;
  readonly version: string;
  /** Everything else that the result depends on, as text: any change to it causes a new build. */
  readonly recipe: string;
  /** Builds into the empty directory. `scratch` is another one, for files that are not part of the result. */
  readonly build: (directory: string, scratch: string) => Promise<void>;
}

/** A file of an entry as it was when its content was last checked. */
interface Seen {
  readonly sha256: string;
  /** Changes with every write: inode, size, permissions, mtime and ctime. */
  readonly stamp: string;
  /** Permission bits, as part of the content. */
  readonly mode: number;
}

/** The entry's record, next to its directory. */
interface Manifest {
  /** Boot during which the contents were last checked. */
  readonly bootId: string;
  readonly files: Readonly<Record<string, Seen>>;
}

/** The cache's directory. */
export function cacheRoot(): string {
  return join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "kubernetes-from-scratch");
}

/**
 * Returns the directory that holds the recipe's result, building it first if it is missing or damaged. Concurrent runs
 * wait for each other, and an interrupted build leaves nothing that would be used.
 * @param say receives a line if an entry is damaged, or if the call has to wait for another run.
 */
export async function cached(thing: Recipe, say: (line: string) => void = console.error): Promise<string> {
  const hash = createHash("sha256").update(thing.recipe).digest("hex").slice(0, 12);
  const label = `${thing.name} ${thing.version}`;
  const directory = join(cacheRoot(), `${thing.name}-${thing.version}-${hash}`);
  if ((await damageOf(directory)) === undefined) return directory;

  await mkdir(join(cacheRoot(), "locks"), { recursive: true });
  const lock = join(cacheRoot(), "locks", `${thing.name}-${thing.version}-${hash}`);
  const waiting = (): void => say(`  … waiting for another run that is building ${label}`);
  return withFileLock(lock, waiting, async () => {
    const damage = await damageOf(directory); // the other run may have built it in the meantime
    if (damage === undefined) return directory;
    if (existsSync(directory)) say(`  The cached ${label} is damaged (${damage}); building it again`);
    const [partial, scratch] = [`${directory}.new`, `${directory}.scratch`];
    for (const old of [directory, partial, scratch]) await rm(old, { recursive: true, force: true });
    for (const empty of [partial, scratch]) await mkdir(empty, { recursive: true });
    try {
      await thing.build(partial, scratch);
    } catch (error) {
      await rm(partial, { recursive: true, force: true });
      throw error;
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
    await record(directory, await compare(partial, {}));
    await rename(partial, directory); // only now is it an entry
    return directory;
  });
}

const manifestFile = (directory: string): string => `${directory}.manifest.json`;

/** What is wrong with an entry, or undefined if it is exactly what was built. */
async function damageOf(directory: string): Promise<string | undefined> {
  if (!existsSync(directory)) return "missing";
  let manifest: Manifest;
  try {
    manifest = JSON.parse(readFileSync(manifestFile(directory), "utf8")) as Manifest;
  } catch {
    return "its record cannot be read";
  }
  const thisBoot = manifest.bootId === bootId();
  const present = await compare(directory, thisBoot ? manifest.files : {});
  for (const [file, known] of Object.entries(manifest.files)) {
    const now = present[file];
    if (!now) return `${file} is missing`;
    if (now.sha256 !== known.sha256) return `${file} has changed`;
    if (now.mode !== known.mode) return `the permissions of ${file} have changed`;
  }
  const added = Object.keys(present).find((file) => !(file in manifest.files));
  if (added !== undefined) return `${added} was added`;
  const changed = Object.entries(present).some(([file, now]) => now.stamp !== manifest.files[file]?.stamp);
  if (!thisBoot || changed) await record(directory, present);
  return undefined;
}

async function record(directory: string, files: Manifest["files"]): Promise<void> {
  const partial = `${manifestFile(directory)}.${process.pid}.new`;
  await writeFile(partial, JSON.stringify({ bootId: bootId(), files } satisfies Manifest));
  await rename(partial, manifestFile(directory));
}

/** Every regular file below a directory as it is now. Files unchanged since `seen` are not read again. */
async function compare(directory: string, seen: Manifest["files"]): Promise<Record<string, Seen>> {
  const files: Record<string, Seen> = {};
  for (const file of await filesOf(directory)) {
    const { ino, size, mode, mtimeNs, ctimeNs } = statSync(join(directory, file), { bigint: true });
    const stamp = [ino, size, mode, mtimeNs, ctimeNs].join(" ");
    const known = seen[file];
    const sha256 = known?.stamp === stamp ? known.sha256 : await sha256Of(join(directory, file));
    files[file] = { sha256, stamp, mode: Number(mode) & 0o7777 };
  }
  return files;
}

/** Regular files below a directory, by relative path, without symbolic links. */
async function filesOf(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort();
}

/** SHA-256 of a file, in hexadecimal. */
export async function sha256Of(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), hash);
  return hash.digest("hex");
}
