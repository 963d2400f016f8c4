import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Docker from "dockerode";
import { UserError } from "../../lib/errors";
import { Daemon, logFile, logTail, runningPid, startDaemon, stopDaemon, waitFor } from "../../lib/process";
import { withFileLock } from "../../lib/file-lock";
import { aptInstall, run, tryRun } from "../../lib/run";
import { brand } from "../names";

/**
 * The container engine: the one that answers on this machine, else one of the project's own.
 *
 * The own engine is Debian's docker.io with a data directory, a socket and a process of its own. It serves every
 * checkout and cloud of the machine; whoever takes down the last cloud stops it.
 */
const HOME = `/var/lib/${brand.name}/engine`;
const RUN = `/run/${brand.name}`;
const SOCKET = `${RUN}/engine.sock`;
const DAEMON: Daemon = { name: "dockerd", directory: HOME };
/** One file for each cloud that uses the engine, holding the cloud's state directory. */
const USERS = `${HOME}/clouds`;
/** net.ipv4.ip_forward as it was: dockerd turns it on, and nothing is left behind. */
const FORWARDING_BEFORE = `${HOME}/ip-forward.before`;
const FORWARDING = "/proc/sys/net/ipv4/ip_forward";

/** An engine that answers. */
export interface ContainerEngine {
  readonly docker: Docker;
  /** Value of DOCKER_HOST for commands. */
  readonly host: string;
  /** True if it is the project's own. */
  readonly own: boolean;
}

/** The engine if one answers: DOCKER_HOST, the default socket, the project's own. Starts nothing. */
export async function findEngine(): Promise<ContainerEngine | undefined> {
  const candidates = [
    ...(process.env["DOCKER_HOST"]
      ? [{ host: process.env["DOCKER_HOST"], own: process.env["DOCKER_HOST"] === `unix://${SOCKET}` }]
      : []),
    { host: "unix:///var/run/docker.sock", own: false },
    { host: `unix://${SOCKET}`, own: true },
  ];
  for (const { host, own } of candidates) {
    if (!host.startsWith("unix://") || !existsSync(host.slice("unix://".length))) continue;
    const docker = new Docker({ socketPath: host.slice("unix://".length) });
    if (await answers(docker)) return { docker, host, own };
  }
  return undefined;
}

/** The engine, installed and started if none answers. It runs as long as a cloud that asked for it is up. */
export async function ensureEngineRuns(stateDir: string): Promise<ContainerEngine> {
  if (process.getuid?.() !== 0) {
    throw new UserError(
      "The local cloud makes networks and containers on this machine, so it runs as root.",
      "Run the same command as root, or use an AWS stack (STACK=dev).",
    );
  }
  return withEngineLock(async () => {
    mkdirSync(USERS, { recursive: true });
    writeFileSync(userFile(stateDir), stateDir);
    const found = await findEngine();
    if (found) return found;
    await install();
    const started = await findEngine(); // where systemd runs, the package starts it
    if (started) return started;
    const previous = readFileSync(FORWARDING, "utf8");
    if (!existsSync(FORWARDING_BEFORE)) writeFileSync(FORWARDING_BEFORE, previous);
    mkdirSync(RUN, { recursive: true, mode: 0o755 });
    startDaemon(DAEMON, "dockerd", [
      ...["--data-root", `${HOME}/data`, "--exec-root", `${RUN}/engine`, "--pidfile", `${RUN}/engine.pid`],
      ...["--host", `unix://${SOCKET}`, "--log-level", "warn"],
    ]);
    const docker = new Docker({ socketPath: SOCKET });
    if (!(await waitFor(() => answers(docker), 60_000))) {
      throw new UserError(
        `The container engine does not answer on ${SOCKET}; the end of ${logFile(DAEMON)} says:\n${logTail(DAEMON)}\n`,
        "Mend that, or start a Docker engine yourself: it is used if it answers.",
      );
    }
    return { docker, host: `unix://${SOCKET}`, own: true };
  });
}

/**
 * Says that a cloud needs the engine no more. The project's own engine is stopped with its last cloud, if no container of
 * anybody is left in it; images and caches stay. True if it was stopped.
 */
export async function releaseEngine(stateDir: string): Promise<boolean> {
  return withEngineLock(async () => {
    rmSync(userFile(stateDir), { force: true });
    const users = existsSync(USERS) ? readdirSync(USERS).map((file) => readFileSync(join(USERS, file), "utf8")) : [];
    if (users.some((directory) => existsSync(directory)) || runningPid(DAEMON) === undefined) return false;
    const docker = new Docker({ socketPath: SOCKET });
    if ((await docker.listContainers({ all: true })).length > 0) return false;
    await stopDaemon(DAEMON, 30_000);
    await tidyNetwork();
    await unmountBelow(RUN);
    rmSync(USERS, { recursive: true, force: true });
    rmSync(RUN, { recursive: true, force: true });
    return true;
  });
}

/** An engine that ends leaves its own network namespace mounted. */
async function unmountBelow(directory: string): Promise<void> {
  const points = readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "");
  for (const point of points.filter((path) => path.startsWith(`${directory}/`)).reverse()) await run("umount", [point]);
}

/** Removes what an engine leaves in the host's network when it ends: its bridge, its firewall chains, forwarding. */
async function tidyNetwork(): Promise<void> {
  await tryRun("ip", ["link", "delete", "docker0"]);
  const rules = await tryRun("iptables-save", []);
  if (rules.exitCode === 0) {
    const rest = withoutEngineRules(rules.stdout);
    await tryRun("iptables-restore", [], { input: rest });
    if (!rest.includes("\n-A "))
      for (const table of ["nat", "filter"]) await tryRun("nft", ["delete", "table", "ip", table]);
  }
  if (existsSync(FORWARDING_BEFORE)) {
    writeFileSync(FORWARDING, readFileSync(FORWARDING_BEFORE, "utf8"));
    rmSync(FORWARDING_BEFORE);
  }
}

/** The output of iptables-save without the engine's chains and rules, and with FORWARD open again as it was before. */
export function withoutEngineRules(saved: string): string {
  return saved
    .split("\n")
    .filter((line) => !/DOCKER|docker0/.test(line))
    .map((line) => line.replace(/^:FORWARD DROP/, ":FORWARD ACCEPT"))
    .join("\n");
}

/** One at a time starts or stops the engine, on the whole machine. */
async function withEngineLock<T>(task: () => Promise<T>): Promise<T> {
  mkdirSync(HOME, { recursive: true, mode: 0o700 });
  return withFileLock(`${HOME}/lock`, () => undefined, task);
}

const userFile = (stateDir: string): string =>
  join(USERS, createHash("sha256").update(stateDir).digest("hex").slice(0, 16));

/** When the engine was started, as far as it is known: a container that ran before then was stopped with the engine. */
export function engineStartedAt(engine: ContainerEngine): Date {
  const uptime = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);
  const booted = new Date(Date.now() - uptime * 1000);
  return engine.own ? new Date(Math.max(statSync(`${HOME}/dockerd.pid`).mtimeMs, booted.getTime())) : booted;
}

async function answers(docker: Docker): Promise<boolean> {
  try {
    await docker.ping();
    return true;
  } catch {
    return false;
  }
}

async function install(): Promise<void> {
  if ((await tryRun("dockerd", ["--version"])).exitCode === 0) return;
  const failure = await aptInstall(["docker.io"]);
  if (failure !== undefined) {
    throw new UserError(
      `No container engine answers, and installing Debian's docker.io failed:\n${failure}\n`,
      "Install and start a Docker engine (20.10 or newer); it is used if it answers.",
    );
  }
}
