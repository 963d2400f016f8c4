/** When the container engine started. Its API does not say, so the process that listens on its socket is asked for. */
import { readFileSync, readdirSync, readlinkSync, realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { startTime } from "../../lib/process";

/** The longest time, in milliseconds, that an engine needs to find out which of its containers have ended. */
const RESTORE_LIMIT = 60_000;

/** Ticks per second in /proc/<pid>/stat, which is the same on all architectures that Linux runs Node.js on. */
const TICKS = 100;

/** When the container engine's process started, and when it had certainly found out which machines have ended. */
export interface EngineStart {
  readonly startedAt: Date;
  readonly readyAt: Date;
}

interface Process {
  readonly pid: number;
  readonly startTime: string;
}

/** Follows the engine at an address through its restarts. */
export class EngineClock {
  private process: Process | undefined;
  private readyAt = new Date(0);

  constructor(private readonly host: string) {}

  /**
   * When the engine that responds now started, and when it was first known to respond. If its process cannot be seen, as
   * from inside a container, that is when the host booted.
   * @throws if the engine is restarting.
   */
  start(): EngineStart {
    const booted = hostBoot();
    if (this.process && startTime(this.process.pid) === this.process.startTime)
      return this.startOf(this.process, booted);
    const found = listener(this.host.slice("unix://".length));
    if (!found && this.process) throw new Error("the container engine is restarting");
    this.process = found;
    this.readyAt = new Date();
    return this.startOf(found, booted);
  }

  private startOf(process: Process | undefined, booted: Date): EngineStart {
    const startedAt = process ? new Date(booted.getTime() + (Number(process.startTime) / TICKS) * 1000) : booted;
    return { startedAt, readyAt: new Date(Math.min(this.readyAt.getTime(), startedAt.getTime() + RESTORE_LIMIT)) };
  }
}

function hostBoot(): Date {
  return new Date(Date.now() - Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]) * 1000);
}

/** The process that listens on a socket. Process 1 only holds sockets for services that it starts. */
function listener(socket: string): Process | undefined {
  const inodes = listeningInodes(real(socket));
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name) && name !== "1")) {
    const began = startTime(Number(pid));
    if (began !== undefined && holdsAny(pid, inodes)) return { pid: Number(pid), startTime: began };
  }
  return undefined;
}

/** Inodes of the listening sockets with a path: columns 4 (flags, with __SO_ACCEPTCON), 7 and 8 of /proc/net/unix. */
function listeningInodes(path: string): Set<string> {
  const rows = readFileSync("/proc/net/unix", "utf8")
    .split("\n")
    .map((line) => line.split(/\s+/));
  const ours = rows.filter((row) => row[3] === "00010000" && row[7] !== undefined && real(row[7]) === path);
  return new Set(ours.map((row) => `socket:[${row[6]}]`));
}

function holdsAny(pid: string, sockets: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      try {
        return sockets.has(readlinkSync(`/proc/${pid}/fd/${fd}`));
      } catch {
        return false; // closed in the meantime
      }
    });
  } catch {
    return false; // ended in the meantime
  }
}

/** A path without symbolic links in its directory, such as /run for /var/run. */
function real(path: string): string {
  try {
    return join(realpathSync(dirname(path)), basename(path));
  } catch {
    return path;
  }
}
