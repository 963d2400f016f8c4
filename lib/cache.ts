/**
 * What takes long to build is built once and kept outside the checkout, in $XDG_CACHE_HOME/kubernetes-from-scratch, by
 * name, version and recipe. An entry is trusted only as far as it is the one that was built: every file's SHA-256 is
 * recorded, and compared again after each boot of the machine and whenever the file's inode, size or times have changed.
 * (Any write to a file sets its ctime, which no program can set back; between two boots comparing that is as good as
 * reading a gigabyte, and takes milliseconds. What a disk loses in silence is found at the first use after a boot.)
 */
import { createHash } from "node:crypto";
import { createReadStream, existsSync, readFileSync, statSync } from "node:fs";
import { mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { withFileLock } from "./file-lock";

/** Something that is built once. */
export interface Recipe {
  readonly name: string;
  readonly version: string;
  /** Everything else that the result depends on, as text: a change of it builds anew. */
  readonly recipe: string;
  /** Builds into the empty directory; `scratch` is another one, for what is not part of the result. */
  readonly build: (directory: string, scratch: string) => Promise<void>;
}

/** A file of an entry as it was when its content was last compared. */
interface Seen {
  readonly sha256: string;
  /** What changes with every write: inode, size, permissions, mtime and ctime. */
  readonly stamp: string;
  /** Permission bits, as part of the content. */
  readonly mode: number;
}

/** The entry's record, beside its directory. */
interface Manifest {
  /** Boot in which the contents were last compared. */
  readonly bootId: string;
  readonly files: Readonly<Record<string, Seen>>;
}

/** Directory of the cache. */
export function cacheRoot(): string {
  return join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "kubernetes-from-scratch");
}

/**
 * The directory with the recipe's result: as it was built, else built anew. Two runs at once wait for one another, and a
 * build that was cut short leaves nothing that is trusted.
 * @param say told when an entry was damaged, and when another run is waited for.
 */
export async function cached(thing: Recipe, say: (line: string) => void = console.error): Promise<string> {
  const hash = createHash("sha256").update(thing.recipe).digest("hex").slice(0, 12);
  const label = `${thing.name} ${thing.version}`;
  const directory = join(cacheRoot(), `${thing.name}-${thing.version}-${hash}`);
  if ((await damageOf(directory)) === undefined) return directory;

  await mkdir(join(cacheRoot(), "locks"), { recursive: true });
  const lock = join(cacheRoot(), "locks", `${thing.name}-${thing.version}-${hash}`);
  const waiting = (): void => say(`  … waiting for another run that makes ${label}`);
  return withFileLock(lock, waiting, async () => {
    const damage = await damageOf(directory); // the other run may have made it meanwhile
    if (damage === undefined) return directory;
    if (existsSync(directory)) say(`  The cached ${label} is damaged (${damage}): making it again`);
    const [partial, scratch] = [`${directory}.new`, `${directory}.scratch`];
    for (const old of [directory, partial, scratch]) await rm(old, { recursive: true, force: true });
    for (const empty of [partial, scratch]) await mkdir(empty, { recursive: true });
    await thing.build(partial, scratch).finally(() => rm(scratch, { recursive: true, force: true }));
    await record(directory, await compare(partial, {}));
    await rename(partial, directory); // what was recorded becomes an entry only here
    return directory;
  });
}

const manifestFile = (directory: string): string => `${directory}.manifest.json`;

/** What is wrong with an entry, or undefined where it is as it was built. */
async function damageOf(directory: string): Promise<string | undefined> {
  if (!existsSync(directory)) return "missing";
  let manifest: Manifest;
  try {
    manifest = JSON.parse(readFileSync(manifestFile(directory), "utf8")) as Manifest;
  } catch {
    return "no record of its content";
  }
  const thisBoot = manifest.bootId === bootId();
  const present = await compare(directory, thisBoot ? manifest.files : {});
  for (const [file, known] of Object.entries(manifest.files)) {
    const now = present[file];
    if (!now) return `${file} is missing`;
    if (now.sha256 !== known.sha256) return `${file} has changed`;
    if (now.mode !== known.mode) return `${file} has other permissions`;
  }
  const added = Object.keys(present).find((file) => !(file in manifest.files));
  if (added !== undefined) return `${added} does not belong to it`;
  const changed = Object.entries(present).some(([file, now]) => now.stamp !== manifest.files[file]?.stamp);
  if (!thisBoot || changed) await record(directory, present);
  return undefined;
}

async function record(directory: string, files: Manifest["files"]): Promise<void> {
  const partial = `${manifestFile(directory)}.${process.pid}.new`;
  await writeFile(partial, JSON.stringify({ bootId: bootId(), files } satisfies Manifest));
  await rename(partial, manifestFile(directory));
}

/** Every regular file below a directory as it is now; what was not written to since it was seen is not read again. */
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

/** Regular files below a directory, by relative path; symbolic links are left to what they point at. */
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

function bootId(): string {
  const file = "/proc/sys/kernel/random/boot_id";
  return existsSync(file) ? readFileSync(file, "utf8").trim() : "";
}
