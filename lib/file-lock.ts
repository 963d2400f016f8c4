/** Mutual exclusion between processes, by locks on files. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";

/** How long to try for a lock before calling `waiting`, in milliseconds. */
const PATIENCE = 1000;

/** A lock that is held. */
export interface FileLock {
  /** Lets others have it. A second call does nothing. */
  release(): Promise<void>;
}

/**
 * Takes the lock of a file, which excludes other processes as well as other calls in this one. The lock is the kernel's
 * (flock(2), through util-linux' flock) and is released when this process ends, however it ends, so that a lock never
 * outlives its holder.
 * @param waiting called once, if the lock is held elsewhere.
 */
export async function lockFile(file: string, waiting: () => void): Promise<FileLock> {
  const holder = spawn("flock", ["--no-fork", file, "sh", "-c", "echo locked; cat >/dev/null"], {
    stdio: ["pipe", "pipe", "inherit"],
    detached: true, // Ctrl-C in the terminal must not end it before this process has ended
  });
  const ended = once(holder, "close");
  ended.catch(() => undefined);
  const timer = setTimeout(waiting, PATIENCE);
  try {
    const [output] = (await Promise.race([once(holder.stdout, "data"), ended])) as [unknown];
    if (!Buffer.isBuffer(output)) throw new Error(`cannot lock ${file}: flock exited with ${String(output)}`);
  } finally {
    clearTimeout(timer);
  }
  return {
    release: async () => {
      holder.stdin.end();
      await ended;
    },
  };
}

/** Runs a task while holding the lock of a file. */
export async function withFileLock<T>(file: string, waiting: () => void, task: () => Promise<T>): Promise<T> {
  const lock = await lockFile(file, waiting);
  try {
    return await task();
  } finally {
    await lock.release();
  }
}

/** Whether the lock of a file is held, by this process or another one. */
export function isLocked(file: string): boolean {
  return existsSync(file) && spawnSync("flock", ["--nonblock", "--shared", file, "true"]).status === 1;
}
