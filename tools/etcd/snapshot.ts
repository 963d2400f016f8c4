/** Snapshots of etcd on this machine: `make snapshot` fetches one, and `make restore` reads one. They are secrets. */
import { createHash } from "node:crypto";
import { createReadStream, existsSync, mkdirSync, readdirSync } from "node:fs";
import { open, rename, rm, stat } from "node:fs/promises";
import { basename, join, relative } from "node:path";
import { libraryDirectory } from "../../bootstrap/places";
import { UserError } from "../../lib/errors";
import type { Stack } from "../stack";
import { download, trySsh } from "./ssh";

const folder = (stack: Stack): string => join(stack.dir, "snapshots");

/** The newest snapshot on this machine, as a path relative to the current folder. Its name contains the time. */
export function newestSnapshot(stack: Stack): string | undefined {
  if (!existsSync(folder(stack))) return undefined;
  const newest = readdirSync(folder(stack))
    .filter((name) => name.endsWith(".db"))
    .sort()
    .at(-1);
  return newest === undefined ? undefined : relative(process.cwd(), join(folder(stack), newest));
}

/**
 * Lets a member of etcd save a snapshot, and fetches it.
 * @param machines control-plane machines, asked one after the other until one has a snapshot.
 * @returns its path.
 * @throws UserError with the reason of each, if none has.
 */
export async function takeSnapshot(stack: Stack, machines: readonly string[]): Promise<string> {
  const reasons: string[] = [];
  for (const machine of machines) {
    const { exitCode, stdout, all } = await trySsh(stack, machine, `sudo ${libraryDirectory}/snapshot-etcd.sh`);
    if (exitCode === 0) return fetchSnapshot(stack, machine, stdout.trim());
    reasons.push(`  ${machine}: ${all.trim().split("\n").at(-1) ?? ""}`);
  }
  throw new UserError(`No member of etcd can save a snapshot:\n${reasons.join("\n")}`);
}

/** Fetches a snapshot from a machine and checks it. Returns its path. */
export async function fetchSnapshot(stack: Stack, machine: string, path: string): Promise<string> {
  mkdirSync(folder(stack), { recursive: true, mode: 0o700 });
  const target = join(folder(stack), basename(path).replace(/\.db$/, `-${machine}.db`));
  const partial = `${target}.partial`;
  await rm(partial, { force: true });
  await download(stack, machine, path, partial);
  await checkSnapshot(partial);
  await rename(partial, target);
  return relative(process.cwd(), target);
}

const sumLength = 32;

/**
 * etcd appends the SHA-256 of a snapshot to it.
 * @throws UserError if the file is missing, incomplete or damaged.
 */
export async function checkSnapshot(path: string): Promise<void> {
  const size = await stat(path).then(
    ({ size }) => size,
    () => undefined,
  );
  if (size === undefined) throw new UserError(`There is no file ${path}.`);
  const hash = createHash("sha256");
  const end = size - sumLength;
  if (end > 0) for await (const part of createReadStream(path, { end: end - 1 })) hash.update(part as Buffer);
  const file = await open(path);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(sumLength), 0, sumLength, Math.max(0, end));
  await file.close();
  if (bytesRead < sumLength || end <= 0 || !hash.digest().equals(buffer))
    throw new UserError(
      `${path} is not a complete snapshot of etcd: the SHA-256 at its end does not match.`,
      "Take another one.",
    );
}
