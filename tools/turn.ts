/** One command at a time per stack, across processes. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { type FileLock, isLocked, lockFile } from "../lib/file-lock";
import { labDir, stackDir, stackLock } from "./places";
import { refuseUnknown } from "./stack";

/** The command that has a stack's turn, as its lock file names it. */
interface Holder {
  readonly pid: number;
  /** Make target. */
  readonly command: string;
  /** Time of day. */
  readonly since: string;
}

/**
 * Runs a command when no other one works on the stack. Until then it waits, and says for whom.
 * @throws UserError if there is no such stack; nothing is left of that.
 */
export async function inTurn<T>(command: string, stack: string, task: (turn: FileLock) => Promise<T>): Promise<T> {
  refuseUnknown(stack);
  mkdirSync(stackDir(stack), { recursive: true, mode: 0o700 });
  const file = stackLock(stack);
  const turn = await lockFile(file, () =>
    console.log(`Waiting for ${describeHolder(file, stack)}, which is working on stack ${stack}.`),
  );
  try {
    const since = new Date().toTimeString().slice(0, 8);
    try {
      writeFileSync(file, JSON.stringify({ pid: process.pid, command, since } satisfies Holder), { mode: 0o600 });
    } catch (error) {
      // it is only for whoever waits, and `make down` is how to free a full disk
      if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    }
    return await task(turn);
  } finally {
    await turn.release();
  }
}

function describeHolder(file: string, stack: string): string {
  try {
    const { pid, command, since } = JSON.parse(readFileSync(file, "utf8")) as Holder;
    return `\`make ${command} STACK=${stack}\` (process ${pid}, since ${since})`;
  } catch {
    return "another command"; // it has only just begun
  }
}

/** Names of the stacks that a command is working on. */
export function stacksAtWork(): string[] {
  return readdirSync(labDir).filter((name) => isLocked(stackLock(name)));
}
