/** The local cloud as a library: start it, look at it, take it down. */
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { codeHash } from "./code";
import { apiEndpoint, ec2ApiPid, startEc2Api, stopEc2Api } from "./ec2-api";
import {
  type ContainerEngine,
  type EngineOfCloud,
  OWN,
  engineIsDown,
  ensureEngineRuns,
  findEngine,
  releaseEngine,
} from "./container-engine";
import { replaceFile } from "../lib/durable-file";
import { withFileLock } from "../lib/file-lock";
import { Service, Settings } from "./hypervisor/settings";
import { ensureMachineImages } from "./images";
import { hypervisorOf } from "./daemons";
import { Cloud, CloudRef, cloudOf } from "./names";
import { belongings, findForeign, refuseCopy, refuseForeign } from "./owner";
import { lockFile, prepareStateDir, recordIdentity, settingsFile } from "./state-dir";
import { describeUnknown, takeLosses } from "./losses";
import { Machine, hasLooked, isSettled, listMachines, unknownMachines } from "./machines";
import { runningPid, startDaemon, stopDaemon, waitFor } from "../lib/process";
import { removeFromEngine, removeHostTraces } from "./remove";

export { apiEndpoint } from "./ec2-api";
export { Machine } from "./machines";
export { UserError } from "../lib/errors";
export { Cloud, CloudRef, cloudOf } from "./names";
export { Service } from "./hypervisor/settings";

/** Which cloud, and how to start it. A setting that is left out keeps its previous value. */
export type CloudOptions = CloudRef & {
  /** A directory served at port 8080 of every VPC's gateway, file by file. */
  readonly releasesDir?: string;
  /** A directory of container images, v2/<name>/{manifests,blobs}/…, served as a registry at /v2/ of the same port. */
  readonly registryDir?: string;
  /** Whether machines also see `releasesDir` as /opt/releases, read-only. */
  readonly preload?: boolean;
  /** Services beside the public internet that machines may reach, by the name of who asked for them. Others' are kept. */
  readonly alsoReachable?: Readonly<Record<string, readonly Service[]>>;
  /**
   * Whether to remove somebody else's cloud of the same name whose state cannot be seen from here, and to forget machines
   * whose container engine is gone. Default: whether ABANDONED is "remove".
   */
  readonly removeAbandoned?: boolean;
  /** Called with each line of progress. */
  readonly progress?: (line: string) => void;
  /** Called with each line about something that the cloud has lost. By default, it goes to standard error. */
  readonly warn?: (line: string) => void;
};

/** Starts whatever is not running yet: container engine, images, EC2 API, hypervisor. Safe to repeat. */
export async function cloudUp(options: CloudOptions): Promise<Cloud> {
  const say = options.progress ?? (() => undefined);
  await alone(cloudOf(options), say, () => start(cloudOf(options), options, say));
  return cloudOf(options);
}

/** Runs a task while no other process starts the cloud or takes it down. */
async function alone<T>(cloud: Cloud, say: (line: string) => void, task: () => Promise<T>): Promise<T> {
  mkdirSync(dirname(cloud.stateDir), { recursive: true, mode: 0o700 });
  const waiting = (): void => say("waiting for another command that is starting this cloud or taking it down");
  return withFileLock(lockFile(cloud.stateDir), waiting, task);
}

async function start(found: Cloud, options: CloudOptions, say: (line: string) => void): Promise<void> {
  refuseCopy(found);
  const engine = await ensureEngineRuns(found.stateDir, engineOf(found));
  await refuseOthers(found, engine, options, say);
  const cloud = await takeOver(found, options);
  say(`container engine is running at ${engine.host}`);
  const before = readSettings(cloud);
  const code = codeHash();
  if (before?.code !== code) await stopProcesses(cloud); // both can be replaced at any time
  const [images] = await Promise.all([
    ensureMachineImages(engine.docker),
    startEc2Api(cloud).then(() => say(`EC2 API is running at ${apiEndpoint(cloud)}`)),
  ]);
  say(`machine image ${images.machine} is ready`);
  const settings: Settings = {
    cloud,
    engine: engine.host,
    code,
    images,
    releasesDir: options.releasesDir ?? before?.releasesDir,
    registryDir: options.registryDir ?? before?.registryDir,
    preload: options.preload ?? before?.preload ?? false,
    alsoReachable: { ...before?.alsoReachable, ...options.alsoReachable },
  };
  const pid = await startHypervisor(cloud, settings);
  await waitFor(() => hasLooked(cloud, pid), 20_000); // until then, the API calls a machine that has died healthy
  say("hypervisor is running");
  const lost = [takeLosses(cloud), describeUnknown(await unknownMachines(cloud, engine.docker))];
  for (const line of lost) if (line !== undefined) (options.warn ?? console.warn)(line);
}

/**
 * Refuses to go on beside somebody else's cloud of the same name, or removes it if that is wanted and it cannot be seen.
 * @throws UserError also if this checkout is a copy of the one that has the cloud.
 */
async function refuseOthers(
  cloud: Cloud,
  { docker }: ContainerEngine,
  { removeAbandoned = process.env["ABANDONED"] === "remove" }: CloudOptions,
  say: (line: string) => void,
): Promise<void> {
  refuseCopy(cloud, await belongings(cloud, docker, "own"));
  const foreign = await findForeign(cloud, docker);
  if (!foreign) return;
  if (foreign.seenAt !== undefined || !removeAbandoned) refuseForeign(cloud, foreign);
  await removeFromEngine(docker, () => belongings(cloud, docker, "foreign"));
  say(`an abandoned cloud named "${cloud.name}" was removed`);
}

/** Makes the cloud this directory's. If it was moved here, processes that still use the former path are ended. */
async function takeOver(cloud: Cloud, options: CloudOptions): Promise<Cloud> {
  prepareStateDir(cloud.stateDir);
  if (cloud.directories.length > 0 && cloud.directories.at(-1) !== cloud.stateDir) await stopProcesses(cloud);
  recordIdentity(cloud.stateDir);
  return cloudOf(options);
}

/**
 * Stops the cloud and removes everything in it: machines, networks, volumes, processes, state.
 * @param unless asked while nobody else can start the cloud: whether it is to be kept after all.
 * @returns whether it was taken down.
 */
export async function cloudDown(options: CloudOptions, unless?: () => Promise<boolean>): Promise<boolean> {
  const say = options.progress ?? (() => undefined);
  return alone(cloudOf(options), say, async () => {
    if (await unless?.()) return false;
    await stop(cloudOf(options), options, say);
    return true;
  });
}

async function stop(cloud: Cloud, options: CloudOptions, say: (line: string) => void): Promise<void> {
  refuseCopy(cloud);
  const engine = await engineToEmpty(cloud, options);
  if (engine) await refuseOthers(cloud, engine, options, say);
  await stopProcesses(cloud);
  say("hypervisor and EC2 API stopped");
  if (engine) await removeFromEngine(engine.docker, () => belongings(cloud, engine.docker, "own"));
  if (engine || existsSync(cloud.stateDir)) await removeHostTraces(cloud);
  say("machines, volumes, networks, routes and host names removed");
  rmSync(cloud.stateDir, { recursive: true, force: true });
  if (await releaseEngine([...cloud.directories, cloud.stateDir])) say("container engine stopped");
}

/** The engine that has something of the cloud, started if it is the private one; undefined if there is nothing to remove. */
async function engineToEmpty(cloud: Cloud, options: CloudOptions): Promise<ContainerEngine | undefined> {
  const { removeAbandoned = process.env["ABANDONED"] === "remove" } = options;
  const wanted = engineOf(cloud);
  const engine = await findEngine(wanted);
  if (engine || wanted.known === undefined) return engine;
  if (wanted.known === OWN) return ensureEngineRuns(cloud.stateDir, wanted);
  if (!removeAbandoned) throw engineIsDown(wanted.known);
  return undefined;
}

/** Which container engine the cloud uses. */
export const engineOf = (cloud: Cloud): EngineOfCloud => ({
  known: readSettings(cloud)?.engine,
  holds: async (docker) => {
    const { containers, networks } = await belongings(cloud, docker, "own");
    return containers.length + networks.length > 0;
  },
});

/** @throws UserError if this directory is a copy of the one that has the cloud. */
export const refuseCopyOf = (options: CloudRef): void => refuseCopy(cloudOf(options));

/** The current status of a cloud. */
export interface CloudStatus {
  readonly endpoint: string;
  readonly runs: boolean;
  /** Whether everything matches the API's current state. */
  readonly settled: boolean;
  readonly machines: readonly Machine[];
}

/** Reports a cloud's status; starts nothing. */
export async function cloudStatus(options: CloudRef): Promise<CloudStatus> {
  const cloud = cloudOf(options);
  const engine = await findEngine(engineOf(cloud));
  const runs = cloudRuns(cloud) && engine !== undefined;
  if (!runs) return { endpoint: apiEndpoint(cloud), runs, settled: false, machines: [] };
  const machines = await listMachines(cloud, engine.docker);
  return { endpoint: apiEndpoint(cloud), runs, settled: await isSettled(cloud), machines };
}

/** Whether the cloud's processes are running. */
function cloudRuns(cloud: Cloud): boolean {
  return ec2ApiPid(cloud) !== undefined && runningPid(hypervisorOf(cloud)) !== undefined;
}

async function stopProcesses(cloud: Cloud): Promise<void> {
  await stopDaemon(hypervisorOf(cloud));
  await stopEc2Api(cloud);
}

/** Returns its process id. */
async function startHypervisor(cloud: Cloud, settings: Settings): Promise<number> {
  // The hypervisor can be replaced at any time, so a change of settings is just a restart.
  if (JSON.stringify(settings) !== JSON.stringify(readSettings(cloud))) await stopDaemon(hypervisorOf(cloud));
  replaceFile(settingsFile(cloud.stateDir), JSON.stringify(settings, null, 2), { mode: 0o600 });
  // tsx is used as a loader because the tsx command starts a child process, which would outlive the recorded one.
  const loader = pathToFileURL(require.resolve("tsx")).href;
  return startDaemon(hypervisorOf(cloud), process.execPath, [
    ...["--import", loader, join(__dirname, "hypervisor", "main.ts"), settingsFile(cloud.stateDir)],
  ]);
}

/** The settings with which the hypervisor was last started. */
function readSettings(cloud: Cloud): Settings | undefined {
  try {
    return JSON.parse(readFileSync(settingsFile(cloud.stateDir), "utf8")) as Settings;
  } catch {
    return undefined; // never started, or damaged: then it starts with the settings of this command
  }
}
