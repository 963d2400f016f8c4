/** Files that only their owner can read. */
import { mkdirSync } from "node:fs";
import { chmod, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Writes a file with mode 0600, ending in a newline, and creates its folder with mode 0700 if it does not exist. A
 * reader sees either the old content or the new, never a part of it.
 */
export async function writePrivateFile(path: string, content: string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const partial = `${path}.partial`;
  await writeFile(partial, content.endsWith("\n") ? content : `${content}\n`, { mode: 0o600 });
  await chmod(partial, 0o600); // an old partial file keeps its mode
  await rename(partial, path);
}
