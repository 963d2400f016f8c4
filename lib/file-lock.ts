import { spawn } from "node:child_process";
import { once } from "node:events";

/** How long a lock is tried for before `waiting` is told, in milliseconds. */
const PATIENCE = 1000;

/**
 * Runs a task while this process holds a file's lock, whoever else asks for it: other processes, and other calls of this
 * one. The kernel holds the lock (flock(2), by util-linux' flock) and releases it with the process, however that ends, so
 * that no lock is ever left over.
 * @param waiting told once, if another one holds the lock.
 */
export async function withFileLock<T>(file: string, waiting: () => void, task: () => Promise<T>): Promise<T> {
  const holder = spawn("flock", ["--no-fork", file, "sh", "-c", "echo locked; cat >/dev/null"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = once(holder, "close");
  ended.catch(() => undefined);
  const timer = setTimeout(waiting, PATIENCE);
  try {
    const [said] = (await Promise.race([once(holder.stdout, "data"), ended])) as [unknown];
    if (!Buffer.isBuffer(said)) throw new Error(`${file} cannot be locked: flock ended with ${String(said)}`);
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
