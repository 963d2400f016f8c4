/** Pulumi's own locks on the stacks of the local cloud, which also exclude a `pulumi up` that a user typed. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../lib/errors";
import { startTime } from "../lib/process";
import { stateDir } from "./places";

/** A lock as Pulumi's file backend records it. */
export interface PulumiLock {
  readonly pid: number;
  readonly timestamp: string;
  /** Whether the command that took it is still running. */
  readonly isHeld: boolean;
}

/** The locks on a stack: one at most, unless engines were killed. */
export const locksOn = (stack: string): PulumiLock[] =>
  globSync(join(stateDir, ".pulumi", "locks", "**", stack, "*.json")).flatMap((file) => {
    try {
      const { pid, timestamp } = JSON.parse(readFileSync(file, "utf8")) as { pid: number; timestamp: string };
      return [{ pid, timestamp, isHeld: isPulumi(pid) }];
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return []; // released in the meantime
      throw error;
    }
  });

/** @throws UserError while another Pulumi command works on the stack. */
export function refuseLocked(stack: string): void {
  const held = locksOn(stack).find(({ isHeld }) => isHeld);
  if (!held) return;
  throw new UserError(
    `Another Pulumi command (process ${held.pid}, since ${held.timestamp}) is working on stack ${stack}.`,
    "Wait until it ends, or press Ctrl-C in its terminal. Then run the same command again.",
  );
}

/** Whether this is the id of a live Pulumi process. A zombie, which has ended but was not reaped yet, counts as gone. */
function isPulumi(pid: number): boolean {
  return startTime(pid) !== undefined && readFileSync(`/proc/${pid}/comm`, "utf8").startsWith("pulumi");
}
