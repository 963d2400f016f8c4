/** The code that a cloud's processes run, which changes under them when the checkout is updated. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

/** The folders that the processes load their code from. */
const FOLDERS = ["cloud", "lib"].map((folder) => resolve(__dirname, "..", folder));

/** A hash of everything in those folders. A process that was started with another one runs old code. */
export function codeHash(folders: readonly string[] = FOLDERS): string {
  const hash = createHash("sha256");
  for (const folder of folders) {
    const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    for (const file of files.sort())
      hash
        .update(`${file.slice(folder.length)}\0`)
        .update(readFileSync(file))
        .update("\0");
  }
  return hash.digest("hex").slice(0, 16);
}
