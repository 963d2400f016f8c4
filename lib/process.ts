/** Background processes that outlive the command that starts them. */
import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readlinkSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { bootId } from "./boot-id";
import { replaceFile } from "./durable-file";

/** The record of a background process; its start time distinguishes it from a later process with the same id. */
interface Recorded {
  readonly pid: number;
  /** Field 22 of /proc/<pid>/stat: clock ticks between the host's boot and the process's start. */
  readonly startTime: string;
  /** The host's boot. Start times from different boots cannot be compared. */
  readonly bootId: string;
}

/** A process that outlives the command that started it, identified by a record in a directory. */
export interface Daemon {
  /** Short name: the files are <directory>/<name>.{pid,log}. */
  readonly name: string;
  readonly directory: string;
}

/** The file that the daemon's output goes to. */
export function logFile(daemon: Daemon): string {
  return join(daemon.directory, `${daemon.name}.log`);
}

/** The daemon's process id, if it is running. A record that was copied with its directory is about somebody else's process. */
export function runningPid(daemon: Daemon): number | undefined {
  const pid = recordedPid(daemon);
  return pid !== undefined && directoryElsewhere(pid, daemon.directory) === undefined ? pid : undefined;
}

/** The directory whose daemon is running, if this one is a copy of it. */
export function runningElsewhere(daemon: Daemon): string | undefined {
  const pid = recordedPid(daemon);
  return pid === undefined ? undefined : directoryElsewhere(pid, daemon.directory);
}

function recordedPid(daemon: Daemon): number | undefined {
  const file = recordFile(daemon);
  if (!existsSync(file)) return undefined;
  try {
    const recorded = JSON.parse(readFileSync(file, "utf8")) as Recorded;
    const alive = recorded.bootId === bootId() && recorded.startTime === startTime(recorded.pid);
    return alive ? recorded.pid : undefined;
  } catch {
    return undefined; // a record that a crash left incomplete: nothing is known to be running
  }
}

/**
 * The process's working directory, if that is another one than the daemon's. The kernel follows a directory that is
 * renamed. One that is gone was moved to another file system, together with the record.
 */
function directoryElsewhere(pid: number, directory: string): string | undefined {
  try {
    const [at, own] = [statSync(`/proc/${pid}/cwd`), statSync(directory)];
    const path = readlinkSync(`/proc/${pid}/cwd`);
    return (at.dev === own.dev && at.ino === own.ino) || path.endsWith(" (deleted)") ? undefined : path;
  } catch {
    return undefined; // another user's process, whose record is trusted
  }
}

/** Starts the daemon in a new session, unless it is running already. Its output goes to its log. */
export function startDaemon(
  daemon: Daemon,
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): number {
  const running = runningPid(daemon);
  if (running !== undefined) return running;
  mkdirSync(daemon.directory, { recursive: true, mode: 0o700 });
  const log = openSync(logFile(daemon), "a", 0o600);
  const child = spawn(command, args, { detached: true, stdio: ["ignore", log, log], env, cwd: daemon.directory });
  closeSync(log);
  child.on("error", () => undefined); // the caller finds that the daemon does not respond, and shows its log
  child.unref();
  if (child.pid === undefined) throw new Error(`cannot start ${command}`);
  const recorded: Recorded = { pid: child.pid, startTime: startTime(child.pid) ?? "", bootId: bootId() };
  try {
    replaceFile(recordFile(daemon), JSON.stringify(recorded), { mode: 0o600 });
  } catch (error) {
    child.kill("SIGKILL"); // without a record, nobody would ever stop it
    throw error;
  }
  return child.pid;
}

/** Stops the daemon with SIGTERM, or SIGKILL after the grace period (milliseconds). Resolves once it is gone. */
export async function stopDaemon(daemon: Daemon, grace = 10_000): Promise<void> {
  const pid = runningPid(daemon);
  if (pid !== undefined) {
    process.kill(pid, "SIGTERM");
    const deadline = Date.now() + grace;
    while (runningPid(daemon) !== undefined) {
      if (Date.now() > deadline) process.kill(pid, "SIGKILL");
      await sleep(50);
    }
  }
  rmSync(recordFile(daemon), { force: true });
}

/** The last lines of the daemon's log, for a message that explains why it does not respond. */
export function logTail(daemon: Daemon, lines = 15): string {
  if (!existsSync(logFile(daemon))) return "(no log)";
  return readFileSync(logFile(daemon), "utf8").trimEnd().split("\n").slice(-lines).join("\n");
}

/** Polls every 100 ms until the condition holds. Resolves to false after the timeout (milliseconds). */
export async function waitFor(condition: () => Promise<boolean> | boolean, timeout: number): Promise<boolean> {
  const deadline = Date.now() + timeout;
  while (!(await condition())) {
    if (Date.now() > deadline) return false;
    await sleep(100);
  }
  return true;
}

function recordFile(daemon: Daemon): string {
  return join(daemon.directory, `${daemon.name}.pid`);
}

/** Start time of a process, or undefined if there is no such process or it is a zombie. */
export function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
