/** The local cloud as a library: start it, look at it, take it down. */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { apiEndpoint, ec2ApiPid, startEc2Api, stopEc2Api } from "./ec2-api";
import { ensureEngineRuns, findEngine, releaseEngine } from "./container-engine";
import { withFileLock } from "../lib/file-lock";
import { Settings } from "./hypervisor/settings";
import { ensureMachineImages } from "./images";
import { Cloud, CloudRef, cloudOf, prepareStateDir, settingsFile } from "./names";
import { Machine, isSettled, listMachines } from "./machines";
import { Daemon, runningPid, startDaemon, stopDaemon } from "../lib/process";
import { prepareHost } from "./host";
import { refuseForeign, removeEverything, removeHostTraces } from "./remove";

export { apiEndpoint } from "./ec2-api";
export { Machine } from "./machines";
export { UserError } from "../lib/errors";
export { Cloud, CloudRef, cloudOf } from "./names";

/** Which cloud, and how to start it. A setting that is left out keeps its previous value. */
export type CloudOptions = CloudRef & {
  /** A directory served at port 8080 of every VPC's gateway, file by file. */
  readonly releasesDir?: string;
  /** A directory of container images, v2/<name>/{manifests,blobs}/…, served as a registry at /v2/ of the same port. */
  readonly registryDir?: string;
  /** Whether machines also see `releasesDir` as /opt/releases, read-only. */
  readonly preload?: boolean;
  /** Called with each line of progress. */
  readonly progress?: (line: string) => void;
};

/** Starts whatever is not running yet: container engine, images, EC2 API, hypervisor. Safe to repeat. */
export async function cloudUp(options: CloudOptions): Promise<Cloud> {
  const cloud = cloudOf(options);
  const say = options.progress ?? (() => undefined);
  prepareStateDir(cloud);
  // Two callers may start the same cloud at the same time.
  await withFileLock(
    `${cloud.stateDir}/lock`,
    () => say("waiting for another command that is starting this cloud"),
    () => start(cloud, options, say),
  );
  return cloud;
}

async function start(cloud: Cloud, options: CloudOptions, say: (line: string) => void): Promise<void> {
  const engine = await ensureEngineRuns(cloud.stateDir);
  await refuseForeign(cloud, engine.docker);
  say(`container engine is running at ${engine.host}`);
  await prepareHost();
  const [images] = await Promise.all([
    ensureMachineImages(engine.docker),
    startEc2Api(cloud).then(() => say(`EC2 API is running at ${apiEndpoint(cloud)}`)),
  ]);
  say(`machine image ${images.machine} is ready`);
  const before = readSettings(cloud);
  const settings: Settings = {
    cloud,
    images,
    releasesDir: options.releasesDir ?? before?.releasesDir,
    registryDir: options.registryDir ?? before?.registryDir,
    preload: options.preload ?? before?.preload ?? false,
  };
  await startHypervisor(cloud, settings);
  say("hypervisor is running");
}

/** Stops the cloud and removes everything in it: machines, networks, volumes, processes, state. */
export async function cloudDown(options: CloudOptions): Promise<void> {
  const cloud = cloudOf(options);
  const say = options.progress ?? (() => undefined);
  await stopDaemon(hypervisorOf(cloud));
  await stopEc2Api(cloud);
  say("hypervisor and EC2 API stopped");
  const engine = await findEngine();
  if (engine) await refuseForeign(cloud, engine.docker);
  if (engine) await removeEverything(cloud, engine.docker);
  else if (existsSync(cloud.stateDir)) await removeHostTraces(cloud);
  say("machines, volumes, networks, routes and host names removed");
  rmSync(cloud.stateDir, { recursive: true, force: true });
  if (await releaseEngine(cloud.stateDir)) say("container engine stopped");
}

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
  const engine = await findEngine();
  const runs = cloudRuns(cloud) && engine !== undefined;
  if (!runs) return { endpoint: apiEndpoint(cloud), runs, settled: false, machines: [] };
  const machines = await listMachines(cloud, engine.docker);
  return { endpoint: apiEndpoint(cloud), runs, settled: await isSettled(cloud), machines };
}

/** Whether the cloud's processes are running. */
function cloudRuns(cloud: Cloud): boolean {
  return ec2ApiPid(cloud) !== undefined && runningPid(hypervisorOf(cloud)) !== undefined;
}

async function startHypervisor(cloud: Cloud, settings: Settings): Promise<void> {
  // The hypervisor can be replaced at any time, so a change of settings is just a restart.
  if (JSON.stringify(settings) !== JSON.stringify(readSettings(cloud))) await stopDaemon(hypervisorOf(cloud));
  writeFileSync(settingsFile(cloud.stateDir), JSON.stringify(settings, null, 2), { mode: 0o600 });
  // tsx is used as a loader because the tsx command starts a child process, which would outlive the recorded one.
  const loader = pathToFileURL(require.resolve("tsx")).href;
  startDaemon(hypervisorOf(cloud), process.execPath, [
    ...["--import", loader, join(__dirname, "hypervisor", "main.ts"), settingsFile(cloud.stateDir)],
  ]);
}

/** The settings with which the hypervisor was last started. */
function readSettings(cloud: Cloud): Settings | undefined {
  return existsSync(settingsFile(cloud.stateDir))
    ? (JSON.parse(readFileSync(settingsFile(cloud.stateDir), "utf8")) as Settings)
    : undefined;
}

/** The hypervisor's process. */
function hypervisorOf(cloud: Cloud): Daemon {
  return { name: "hypervisor", directory: cloud.stateDir };
}
