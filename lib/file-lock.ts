/** Mutual exclusion between processes, by locks on files. */
import { spawn } from "node:child_process";
import { once } from "node:events";

/** How long to try for a lock before calling `waiting`, in milliseconds. */
const PATIENCE = 1000;

/**
 * Runs a task while holding the lock of a file, which excludes other processes as well as other calls in this one. The
 * lock is the kernel's (flock(2), through util-linux' flock) and is released when the process ends, however it ends, so
 * that a lock never outlives its holder.
 * @param waiting called once, if the lock is held elsewhere.
 */
export async function withFileLock<T>(file: string, waiting: () => void, task: () => Promise<T>): Promise<T> {
  const holder = spawn("flock", ["--no-fork", file, "sh", "-c", "echo locked; cat >/dev/null"], {
    stdio: ["pipe", "pipe", "inherit"],
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
  try {
    return await task();
  } finally {
    holder.stdin.end();
    await ended;
  }
}
