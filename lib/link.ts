/** Shares files of the cache with other directories. */
import { constants } from "node:fs";
import { copyFile, link, lstat, mkdir, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Makes a file available under a second path: as a hard link if the file system allows it, otherwise as a copy. Readers
 * of that path see either the old file or the new one, never a partial one. Does nothing if both are already the same file.
 */
export async function linkInto(source: string, target: string): Promise<void> {
  const [from, to] = await Promise.all([stat(source), lstat(target).catch(() => undefined)]);
  if (to && to.ino === from.ino && to.dev === from.dev) return;
  await mkdir(dirname(target), { recursive: true });
  const partial = `${target}.${process.pid}.new`;
  await rm(partial, { force: true });
  await link(source, partial).catch(() => copyFile(source, partial, constants.COPYFILE_FICLONE));
  await rename(partial, target);
}
