/**
 * The container engine: a Docker engine that is already running on this host, or else a private one.
 *
 * The private engine is Debian's docker.io with its own data directory, socket and process. It is shared by all clouds on
 * the host and stopped when the last of them is taken down.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { Agent } from "node:http";
import { join } from "node:path";
import Docker from "dockerode";
import { replaceFile } from "../../lib/durable-file";
import { UserError } from "../../lib/errors";
import { Daemon, logFile, logTail, runningPid, startDaemon, stopDaemon, waitFor } from "../../lib/process";
import { withFileLock } from "../../lib/file-lock";
import { aptInstall, run, tryRun } from "../../lib/run";
import { prepareHost, restoreHost, routeForMachines } from "../host";
import { brand } from "../names";
import { hasCloud } from "../state-dir";

const HOME = `/var/lib/${brand.name}/engine`;
const RUN = `/run/${brand.name}`;
const SOCKET = `${RUN}/engine.sock`;
const DAEMON: Daemon = { name: "dockerd", directory: HOME };
/** One file per cloud that uses the engine, containing the path of the cloud's state directory. */
const USERS = `${HOME}/clouds`;

/** A running engine. */
export interface ContainerEngine {
  readonly docker: Docker;
  /** Value of DOCKER_HOST for commands that use it. */
  readonly host: string;
}

/** Address of the private engine. */
export const OWN = `unix://${SOCKET}`;
/** Address of the system's engine. */
const SYSTEM = "unix:///var/run/docker.sock";
const pathOf = (host: string): string => host.slice("unix://".length);

/** A client of the engine at an address. */
export function connectTo(host: string): Docker {
  // A connection per request: an engine that is shutting down still serves old connections, but accepts no new ones.
  const options = { socketPath: pathOf(host), agent: new Agent({ keepAlive: false }) };
  return new Docker(options); // its types lack the agent
}

/** The engine at an address, if it is running. */
async function engineAt(host: string): Promise<ContainerEngine | undefined> {
  if (!host.startsWith("unix://") || !existsSync(pathOf(host))) return undefined;
  const docker = connectTo(host);
  return (await responds(docker)) ? { docker, host } : undefined;
}

/** Which engine a cloud uses. */
export interface EngineOfCloud {
  /** The address that the cloud's settings name. */
  readonly known?: string | undefined;
  /** Whether an engine has something of the cloud; asked if its settings name no engine. */
  readonly holds: (docker: Docker) => Promise<boolean>;
}

/**
 * The engine of a cloud, if it is running. Starts nothing. A cloud's engine is the one that it was started on. A new cloud
 * gets the first of these that is running: at DOCKER_HOST, at the default socket, or the private one.
 */
export async function findEngine({ known, holds }: EngineOfCloud): Promise<ContainerEngine | undefined> {
  if (known !== undefined) return engineAt(known);
  const hosts = new Set([process.env["DOCKER_HOST"] ?? OWN, SYSTEM, OWN]);
  const running = (await Promise.all([...hosts].map(engineAt))).filter((engine) => engine !== undefined);
  for (const engine of running) if (await holds(engine.docker)) return engine;
  return running[0];
}

/**
 * Returns the running engine of a cloud. If there is none, installs and starts the private one, which then runs until the
 * last of the clouds that use it is down.
 * @throws UserError if this process does not run as root, if the engine cannot be installed or started, if it cannot run
 * machines, or if the cloud's machines are in another one that does not respond.
 */
export async function ensureEngineRuns(stateDir: string, cloud: EngineOfCloud): Promise<ContainerEngine> {
  if (process.getuid?.() !== 0) {
    throw new UserError(
      "The local cloud creates networks and containers on this machine, which only root can do.",
      "Run the same command as root.",
    );
  }
  return withEngineLock(async () => {
    replaceFile(userFile(stateDir), stateDir);
    await prepareHost();
    const found = await findEngine(cloud);
    if (found) return refuseRootless(found);
    if (cloud.known !== undefined && cloud.known !== OWN) throw engineIsDown(cloud.known);
    await install();
    const started = await findEngine(cloud); // if systemd is running, installing the package starts it
    return started ?? startOwn();
  });
}

/** The error if the engine that has a cloud's machines is not running. */
export const engineIsDown = (host: string): UserError =>
  new UserError(
    `The machines of this local cloud are in the container engine at ${host}, which does not respond.`,
    "Start it (systemctl start docker), and run the same command again. If it no longer exists, neither do the machines: ABANDONED=remove with `make down` forgets them.",
  );

/** @throws UserError if the engine runs without root's rights, in which it cannot create machines. */
async function refuseRootless(engine: ContainerEngine): Promise<ContainerEngine> {
  const { SecurityOptions = [] } = (await engine.docker.info()) as { SecurityOptions?: string[] };
  if (!SecurityOptions.some((option) => /^name=rootless\b/.test(option))) return engine;
  throw new UserError(
    `The container engine at ${engine.host} is rootless, so it cannot run the machines of a local cloud.`,
    "Unset DOCKER_HOST: an engine of root is used if one is running, or else a private one is started.",
  );
}

async function startOwn(): Promise<ContainerEngine> {
  await routeForMachines();
  mkdirSync(RUN, { recursive: true, mode: 0o755 });
  startDaemon(DAEMON, "dockerd", [
    ...["--data-root", `${HOME}/data`, "--exec-root", `${RUN}/engine`, "--pidfile", `${RUN}/engine.pid`],
    ...["--host", OWN, "--log-level", "warn"],
    // The hypervisor does what is necessary, so that the host's firewall and settings are nobody else's business.
    ...["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-masq=false", "--ip-forward=false"],
  ]);
  const docker = connectTo(OWN);
  if (!(await waitFor(() => responds(docker), 60_000))) {
    throw new UserError(
      `The container engine did not start on ${SOCKET}. ${logFile(DAEMON)} ends with:\n${logTail(DAEMON)}\n`,
      "Fix that, or start Docker yourself; a running engine is picked up automatically.",
    );
  }
  return { docker, host: OWN };
}

/**
 * Releases the engine for a cloud, given every path of its state directory. The private engine is stopped with its last
 * cloud, unless somebody else still has containers in it; its images and caches are kept. What clouds have changed on the host is put back with the last of all.
 * @returns whether the engine was stopped.
 */
export async function releaseEngine(stateDirs: readonly string[]): Promise<boolean> {
  return withEngineLock(async () => {
    for (const stateDir of stateDirs) rmSync(userFile(stateDir), { force: true });
    const users = existsSync(USERS) ? readdirSync(USERS).map((file) => readFileSync(join(USERS, file), "utf8")) : [];
    if (users.some(hasCloud)) return false;
    const own = await engineAt(OWN);
    if (!own && runningPid(DAEMON) !== undefined) return false; // it does not respond, and may have containers
    if (own && (await own.docker.listContainers({ all: true })).length > 0) return false;
    await stopDaemon(DAEMON, 30_000);
    await restoreHost({ forwards: (await engineAt(SYSTEM)) !== undefined });
    await unmountLeftovers();
    rmSync(USERS, { recursive: true, force: true });
    rmSync(RUN, { recursive: true, force: true });
    return own !== undefined;
  });
}

/** Unmounts what an engine that stops leaves mounted: its network namespace, and its data on itself. */
async function unmountLeftovers(): Promise<void> {
  const points = readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "");
  const own = points.filter((path) => path.startsWith(`${RUN}/`) || path === `${HOME}/data`);
  for (const point of own.reverse()) await run("umount", [point]);
}

/** Ensures that only one process on the host starts or stops the engine at a time. */
async function withEngineLock<T>(task: () => Promise<T>): Promise<T> {
  mkdirSync(HOME, { recursive: true, mode: 0o700 });
  return withFileLock(`${HOME}/lock`, () => undefined, task);
}

const userFile = (stateDir: string): string =>
  join(USERS, createHash("sha256").update(stateDir).digest("hex").slice(0, 16));

async function responds(docker: Docker): Promise<boolean> {
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
      `No container engine is running, and installing Debian's docker.io failed:\n${failure}\n`,
      "Install and start Docker 20.10 or newer; a running engine is picked up automatically.",
    );
  }
}
