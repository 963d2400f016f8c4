import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { apiEndpoint, ec2ApiPid, startEc2Api, stopEc2Api } from "./ec2-api";
import { ensureEngineRuns, findEngine, releaseEngine } from "./container-engine";
import { withFileLock } from "../lib/file-lock";
import { Settings } from "./hypervisor/settings";
import { ensureMachineImages } from "./images";
import { Cloud, cloudOf, prepareStateDir, settingsFile } from "./names";
import { Machine, isSettled, listMachines } from "./machines";
import { Daemon, runningPid, startDaemon, stopDaemon } from "../lib/process";
import { prepareHost } from "./host";
import { refuseForeign, removeEverything, removeHostTraces } from "./remove";

export { apiEndpoint } from "./ec2-api";
export { Machine } from "./machines";
export { UserError } from "../lib/errors";
export { Cloud, cloudOf } from "./names";

/** What a cloud is started with; what is not said stays as it was. */
export interface CloudOptions {
  /** Default: LAB_CLOUD, else "lab". */
  readonly name?: string;
  /** Port of the EC2 API on 127.0.0.1. Default: LAB_CLOUD_PORT, else 5001. */
  readonly port?: number;
  /** Directory of the release mirror, <host>/<path>; served at port 8080 of every VPC's gateway. */
  readonly releasesDir?: string;
  /** Directory of an image registry, v2/<name>/{manifests,blobs}/…; served at /v2/ of the same port. */
  readonly registryDir?: string;
  /** Whether machines carry the releases in /opt/releases. */
  readonly preload?: boolean;
  /** Called with a line of progress. */
  readonly progress?: (line: string) => void;
}

/** Starts what does not run: engine, images, EC2 API, hypervisor. Any number of times. */
export async function cloudUp(options: CloudOptions = {}): Promise<Cloud> {
  const cloud = cloudOf(options);
  const say = options.progress ?? (() => undefined);
  prepareStateDir(cloud);
  // Two stacks may come up at the same time on one cloud.
  await withFileLock(
    `${cloud.stateDir}/lock`,
    () => say("another command is starting this cloud"),
    () => start(cloud, options, say),
  );
  return cloud;
}

async function start(cloud: Cloud, options: CloudOptions, say: (line: string) => void): Promise<void> {
  const engine = await ensureEngineRuns(cloud.stateDir);
  await refuseForeign(cloud, engine.docker);
  say(`container engine answers on ${engine.host}`);
  await prepareHost();
  const [images] = await Promise.all([
    ensureMachineImages(engine.docker),
    startEc2Api(cloud).then(() => say(`EC2 API answers on ${apiEndpoint(cloud)}`)),
  ]);
  say(`machine image ${images.machine}`);
  const before = readSettings(cloud);
  const settings: Settings = {
    cloud,
    images,
    releasesDir: options.releasesDir ?? before?.releasesDir,
    registryDir: options.registryDir ?? before?.registryDir,
    preload: options.preload ?? before?.preload ?? false,
  };
  await startHypervisor(cloud, settings);
  say("hypervisor runs");
}

/** Ends the cloud and removes everything of it: machines, networks, volumes, processes, state. */
export async function cloudDown(options: CloudOptions = {}): Promise<void> {
  const cloud = cloudOf(options);
  const say = options.progress ?? (() => undefined);
  await stopDaemon(hypervisorOf(cloud));
  await stopEc2Api(cloud);
  say("hypervisor and EC2 API ended");
  const engine = await findEngine();
  if (engine) await refuseForeign(cloud, engine.docker);
  if (engine) await removeEverything(cloud, engine.docker);
  else if (existsSync(cloud.stateDir)) await removeHostTraces(cloud);
  say("machines, volumes, networks, routes and names removed");
  rmSync(cloud.stateDir, { recursive: true, force: true });
  if (await releaseEngine(cloud.stateDir)) say("container engine stopped");
}

/** A cloud as it is now. */
export interface CloudStatus {
  readonly endpoint: string;
  readonly runs: boolean;
  /** Whether everything that the API says is true already. */
  readonly settled: boolean;
  readonly machines: readonly Machine[];
}

/** Looks at the cloud; starts nothing. */
export async function cloudStatus(options: CloudOptions = {}): Promise<CloudStatus> {
  const cloud = cloudOf(options);
  const engine = await findEngine();
  const runs = cloudRuns(cloud) && engine !== undefined;
  if (!runs) return { endpoint: apiEndpoint(cloud), runs, settled: false, machines: [] };
  const machines = await listMachines(cloud, engine.docker);
  return { endpoint: apiEndpoint(cloud), runs, settled: await isSettled(cloud), machines };
}

/** Whether the cloud's processes run. */
export function cloudRuns(cloud: Cloud): boolean {
  return ec2ApiPid(cloud) !== undefined && runningPid(hypervisorOf(cloud)) !== undefined;
}

async function startHypervisor(cloud: Cloud, settings: Settings): Promise<void> {
  // It keeps nothing in its head: one with other settings takes over from it.
  if (JSON.stringify(settings) !== JSON.stringify(readSettings(cloud))) await stopDaemon(hypervisorOf(cloud));
  writeFileSync(settingsFile(cloud.stateDir), JSON.stringify(settings, null, 2), { mode: 0o600 });
  // tsx as a loader, not as a command: that one starts another process, which would outlive the one on record.
  const loader = pathToFileURL(require.resolve("tsx")).href;
  startDaemon(hypervisorOf(cloud), process.execPath, [
    ...["--import", loader, join(__dirname, "hypervisor", "main.ts"), settingsFile(cloud.stateDir)],
  ]);
}

/** What the hypervisor was last started with. */
function readSettings(cloud: Cloud): Settings | undefined {
  return existsSync(settingsFile(cloud.stateDir))
    ? (JSON.parse(readFileSync(settingsFile(cloud.stateDir), "utf8")) as Settings)
    : undefined;
}

export function hypervisorOf(cloud: Cloud): Daemon {
  return { name: "hypervisor", directory: cloud.stateDir };
}
