import { constants } from "node:fs";
import { copyFile, link, lstat, mkdir, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Puts a file of the cache at a second place, as a hard link where the file system allows it; whoever reads the second
 * place sees the old file or the new one, never a part. Nothing happens where both are the same file already.
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
