/** The local cloud's command line: `tsx cloud/cli.ts --help`. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import type Docker from "dockerode";
import { findEngine } from "./container-engine";
import {
  Cloud,
  CloudOptions,
  CloudRef,
  Machine,
  UserError,
  cloudDown,
  cloudOf,
  cloudStatus,
  cloudUp,
  engineOf,
} from ".";
import { describeUnknown } from "./losses";
import { Faults, findMachine, listMachines, unknownMachines } from "./machines";
import { formatTable } from "../lib/table";
import { exitOnBrokenPipe } from "../lib/broken-pipe";

const HELP = `Usage: tsx cloud/cli.ts COMMAND [MACHINE] [OPTION...]

The cloud:
  up         start whatever is not running yet   [--releases DIR] [--registry DIR] [--preload]
  down       stop everything and remove it
  status     list the machines
  logs       show the cloud's own logs   [--follow]

A machine:
  logs       show its journal   MACHINE [--follow]
  console    open a root shell   MACHINE
  exec       run a command as root   MACHINE -- COMMAND...

Faults:
  kill       cut a machine's power   MACHINE
  start      start a machine that was stopped or has died   MACHINE
  stop       shut a machine down   MACHINE
  reboot     shut a machine down and start it again   MACHINE
  terminate  destroy a machine and its disk   MACHINE
  partition  cut a machine off the network, except for SSH   MACHINE
  heal       undo a partition   MACHINE

MACHINE is a machine's name, instance id or private address.

Options:
  --name CLOUD    name of the cloud; default: LAB_CLOUD, or "lab"
  --port PORT     port of its EC2 API; default: LAB_CLOUD_PORT, or the port last used, or 5001
  --state DIR     directory that holds the state of all clouds; default: .lab/cloud in the checkout
  --stack STACK   consider only machines whose tag "stack" has this value
  --releases DIR  directory to serve at port 8080 of every VPC's gateway
  --registry DIR  directory of container images to serve as a registry at /v2/ of the same port
  --preload       also mount the --releases directory on machines, at /opt/releases
  -f, --follow    keep printing new log lines
`;

/** Default of --state, independent of the working directory. */
const STATE_ROOT = resolve(__dirname, "..", ".lab", "cloud");

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      name: { type: "string" },
      port: { type: "string" },
      state: { type: "string", default: STATE_ROOT },
      stack: { type: "string" },
      releases: { type: "string" },
      registry: { type: "string" },
      preload: { type: "boolean" },
      follow: { type: "boolean", short: "f" },
      help: { type: "boolean", short: "h" },
    },
  });
  const [command, wanted, ...rest] = positionals;
  if (values.help || command === undefined) {
    process.stdout.write(HELP);
    return values.help ? 0 : 2;
  }
  const started = Date.now();
  const options: CloudOptions = {
    stateRoot: values.state,
    ...(values.name === undefined ? {} : { name: values.name }),
    ...(values.port === undefined ? {} : { port: Number(values.port) }),
    ...(values.releases === undefined ? {} : { releasesDir: values.releases }),
    ...(values.registry === undefined ? {} : { registryDir: values.registry }),
    ...(values.preload === undefined ? {} : { preload: values.preload }),
    progress: (line) => console.log(`${((Date.now() - started) / 1000).toFixed(1).padStart(6)} s  ${line}`),
  };
  if (command === "up") return cloudUp(options).then(() => 0);
  if (command === "down") return cloudDown(options).then(() => 0);
  if (command === "status") return status(options);

  const cloud = cloudOf(options);
  if (command === "logs" && wanted === undefined) return showLogs(cloud, values.follow ?? false);
  const docker = await dockerOf(cloud);
  const machines = await listMachines(cloud, docker);
  if (wanted === undefined)
    throw new UserError(
      `"${command}" needs a machine name.`,
      `Machines: ${machines.map(({ name }) => name).join(", ") || "none"}.`,
    );
  const machine = findMachine(machines, wanted, values.stack);
  if (command === "console") return enter(docker, machine, ["bash", "--login"]);
  if (command === "exec") return enter(docker, machine, rest);
  if (command === "logs")
    return enter(docker, machine, ["journalctl", "--no-pager", ...(values.follow ? ["--follow"] : [])]);

  const faults = new Faults(cloud, docker);
  const actions: Record<string, (machine: Machine) => Promise<void>> = {
    kill: (it) => faults.kill(it),
    start: (it) => faults.start(it),
    stop: (it) => faults.stop(it),
    reboot: (it) => faults.reboot(it),
    terminate: (it) => faults.terminate(it),
    partition: (it) => faults.partition(it),
    heal: (it) => faults.heal(it),
  };
  const action = actions[command];
  if (!action) throw new UserError(`"${command}" is not a command.`, `See the usage:\n\n${HELP}`);
  await action(machine);
  console.log(`${machine.name} (${machine.id}): ${command} done in ${((Date.now() - started) / 1000).toFixed(1)} s`);
  return 0;
}

async function status(ref: CloudRef): Promise<number> {
  const cloud = cloudOf(ref);
  const { endpoint, runs, settled, machines } = await cloudStatus(ref);
  console.log(`cloud ${cloud.name}: ${runs ? `EC2 API at ${endpoint}${settled ? "" : ", busy"}` : "down"}`);
  if (!runs) return 1;
  const unknown = describeUnknown(await unknownMachines(cloud, await dockerOf(cloud)));
  if (unknown !== undefined) console.log(unknown);
  if (machines.length === 0) return 0;
  const rows = machines.map((machine) => [
    ...[machine.name, machine.stack ?? "-", machine.id, machine.type, machine.privateIp, machine.zone, machine.state],
    machine.container?.Status.toLowerCase() ?? "none",
  ]);
  console.log(formatTable([["NAME", "STACK", "INSTANCE", "TYPE", "ADDRESS", "ZONE", "STATE", "MACHINE"], ...rows]));
  return 0;
}

async function dockerOf(cloud: Cloud): Promise<Docker> {
  const engine = await findEngine(engineOf(cloud));
  if (!engine || !existsSync(cloud.stateDir)) {
    throw new UserError(`The local cloud "${cloud.name}" is not running.`, "Start it with: tsx cloud/cli.ts up");
  }
  return engine.docker;
}

/** Runs a command on this terminal as the machine's root, inside all of its namespaces. Returns its exit code. */
async function enter(docker: Docker, machine: Machine, command: readonly string[]): Promise<number> {
  if (machine.container?.State !== "running")
    throw new UserError(`${machine.name} is down.`, `Start it with: tsx cloud/cli.ts start ${machine.name}`);
  const { State } = await docker.getContainer(machine.container.Id).inspect();
  const env = {
    TERM: process.env["TERM"] ?? "dumb",
    HOME: "/root",
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  };
  return attached(
    "/usr/bin/nsenter",
    ["--target", String(State.Pid), "--all", "--", "sh", "-c", 'cd && exec "$@"', "sh", ...command],
    env,
  );
}

function showLogs(cloud: Cloud, follow: boolean): Promise<number> {
  const files = ["hypervisor.log", "ec2-api.log"]
    .map((file) => join(cloud.stateDir, file))
    .filter((file) => existsSync(file));
  if (files.length === 0) throw new UserError(`The local cloud "${cloud.name}" has no logs: it is not running.`);
  return attached("tail", ["-n", "100", ...(follow ? ["-f"] : []), ...files], process.env);
}

/** Runs a command on this terminal and returns its exit code. */
function attached(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  return new Promise((done, fail) => {
    const child = spawn(command, args, { stdio: "inherit", env });
    child.on("error", fail);
    child.on("close", (code) => done(code ?? 1));
  });
}

exitOnBrokenPipe();
main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    const known = error instanceof UserError || (error as { code?: string }).code?.startsWith("ERR_PARSE_ARGS");
    console.error(known ? (error as Error).message : error);
    process.exit(1);
  },
);
