import { createHash } from "node:crypto";
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { withLock } from "../engine/lock";

/** Something that is built once and kept outside the checkout. */
export interface Recipe {
  readonly name: string;
  readonly version: string;
  /** Everything that the result depends on, as text: a change of it builds anew. */
  readonly recipe: string;
  /** Builds into the empty directory. */
  readonly build: (directory: string) => Promise<void>;
}

/** The directory with the recipe's result; built if it is not there yet. */
export async function cached(thing: Recipe): Promise<string> {
  const root = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "kubernetes-from-scratch");
  const hash = createHash("sha256").update(thing.recipe).digest("hex").slice(0, 12);
  const directory = join(root, `${thing.name}-${thing.version}-${hash}`);
  return withLock(`${directory}.lock`, async () => {
    if (existsSync(directory)) return directory;
    rmSync(`${directory}.new`, { recursive: true, force: true });
    mkdirSync(`${directory}.new`, { recursive: true });
    await thing.build(`${directory}.new`);
    renameSync(`${directory}.new`, directory);
    return directory;
  });
}
