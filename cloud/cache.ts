/**
 * What takes long to build is built once and kept outside the checkout, in $XDG_CACHE_HOME/kubernetes-from-scratch, by
 * name, version and recipe. An entry is trusted only as far as it is the one that was built: every file's SHA-256 is
 * recorded, and compared again after each boot of the machine and whenever a file's size, time or inode has changed.
 */
import { createHash } from "node:crypto";
import { createReadStream, existsSync, readFileSync, statSync } from "node:fs";
import { mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { withLock } from "./engine/lock";

/** Something that is built once. */
export interface Recipe {
  readonly name: string;
  readonly version: string;
  /** Everything else that the result depends on, as text: a change of it builds anew. */
  readonly recipe: string;
  /** Builds into the empty directory. */
  readonly build: (directory: string) => Promise<void>;
  /** Files that the machine's administrator may rewrite (bundles of certificate authorities): there, but not compared. */
  readonly foreign?: RegExp;
}

/** A file of an entry as it was when its content was last compared. */
interface Seen {
  readonly sha256: string;
  readonly size: number;
  readonly mtimeMs: number;
  readonly inode: number;
}

/** The entry's record, beside its directory. */
interface Manifest {
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
 * @param say told when an entry was damaged.
 */
export async function cached(thing: Recipe, say: (line: string) => void = console.error): Promise<string> {
  const hash = createHash("sha256").update(thing.recipe).digest("hex").slice(0, 12);
  const directory = join(cacheRoot(), `${thing.name}-${thing.version}-${hash}`);
  await mkdir(cacheRoot(), { recursive: true });
  return withLock(`${directory}.lock`, async () => {
    const damage = await damageOf(directory, thing.foreign);
    if (damage === undefined) return directory;
    if (existsSync(directory))
      say(`  The cached ${thing.name} ${thing.version} is damaged (${damage}): building it again`);
    await rm(directory, { recursive: true, force: true });
    await rm(`${directory}.new`, { recursive: true, force: true });
    await mkdir(`${directory}.new`, { recursive: true });
    await thing.build(`${directory}.new`);
    await rename(`${directory}.new`, directory);
    await record(directory, await hashAll(directory));
    return directory;
  });
}

const manifestFile = (directory: string): string => `${directory}.manifest.json`;

/** What is wrong with an entry, or undefined where it is as it was built. */
async function damageOf(directory: string, foreign?: RegExp): Promise<string | undefined> {
  if (!existsSync(directory)) return "missing";
  let manifest: Manifest;
  try {
    manifest = JSON.parse(readFileSync(manifestFile(directory), "utf8")) as Manifest;
  } catch {
    return "no record of its content";
  }
  const present = await filesOf(directory);
  const lost = Object.keys(manifest.files).find((file) => !present.includes(file));
  if (lost !== undefined) return `${lost} is missing`;
  if (present.length === 0) return "empty";
  const sameBoot = manifest.bootId === bootId();
  const now: Record<string, Seen> = {};
  for (const file of present) {
    const known = manifest.files[file];
    if (!known) return `${file} does not belong to it`;
    const { size, mtimeMs, ino } = statSync(join(directory, file));
    const untouched = sameBoot && size === known.size && mtimeMs === known.mtimeMs && ino === known.inode;
    const sha256 = untouched ? known.sha256 : await sha256Of(join(directory, file));
    if (sha256 !== known.sha256 && !foreign?.test(file)) return `${file} has changed`;
    now[file] = { sha256, size, mtimeMs, inode: ino };
  }
  if (!sameBoot || JSON.stringify(now) !== JSON.stringify(manifest.files)) await record(directory, now);
  return undefined;
}

async function record(directory: string, files: Manifest["files"]): Promise<void> {
  const partial = `${manifestFile(directory)}.new`;
  await writeFile(partial, JSON.stringify({ bootId: bootId(), files } satisfies Manifest));
  await rename(partial, manifestFile(directory));
}

async function hashAll(directory: string): Promise<Record<string, Seen>> {
  const files: Record<string, Seen> = {};
  for (const file of await filesOf(directory)) {
    const { size, mtimeMs, ino } = statSync(join(directory, file));
    files[file] = { sha256: await sha256Of(join(directory, file)), size, mtimeMs, inode: ino };
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
