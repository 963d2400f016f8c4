/** The local cloud's command line: `tsx cloud/cli.ts --help`. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type Docker from "dockerode";
import { findEngine } from "./container-engine";
import { Cloud, CloudOptions, Machine, UserError, cloudDown, cloudOf, cloudStatus, cloudUp } from ".";
import { Faults, findMachine, listMachines } from "./machines";

const HELP = `Usage: tsx cloud/cli.ts COMMAND [MACHINE] [--name CLOUD] [--port PORT] [--stack STACK]

  up        start what does not run   [--releases DIR] [--registry DIR] [--preload]
  down      end everything and remove it
  status    show the machines
  logs      show the cloud's own logs, or a machine's journal   [MACHINE] [--follow]
  console   a root shell on a machine   MACHINE
  exec      run a command as root on a machine   MACHINE -- COMMAND...
  kill      cut a machine's power   MACHINE
  start     start a machine that was stopped or died   MACHINE
  stop      shut a machine down   MACHINE
  reboot    shut a machine down and start it   MACHINE
  terminate lose a machine and its disk for good   MACHINE
  partition take a machine off the network, but for SSH   MACHINE
  heal      end its partition   MACHINE

CLOUD and PORT default to LAB_CLOUD ("lab") and LAB_CLOUD_PORT (5001). MACHINE is a machine's name, instance id or address.
`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      name: { type: "string" },
      port: { type: "string" },
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
  const docker = await engineOf(cloud);
  const machines = await listMachines(cloud, docker);
  if (wanted === undefined)
    throw new UserError(`"${command}" wants a machine.`, `There are: ${machines.map((n) => n.name).join(", ")}.`);
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
  if (!action) throw new UserError(`There is no command "${command}".`, `Say one of these:\n\n${HELP}`);
  await action(machine);
  console.log(`${machine.name} (${machine.id}): ${command} done in ${((Date.now() - started) / 1000).toFixed(1)} s`);
  return 0;
}

async function status(options: CloudOptions): Promise<number> {
  const cloud = cloudOf(options);
  const { endpoint, runs, settled, machines } = await cloudStatus(options);
  console.log(`cloud ${cloud.name}: ${runs ? `EC2 API at ${endpoint}${settled ? "" : ", busy"}` : "down"}`);
  if (machines.length === 0) return runs ? 0 : 1;
  const rows = machines.map((machine) => [
    ...[machine.name, machine.stack ?? "-", machine.id, machine.type, machine.privateIp, machine.zone, machine.state],
    machine.container?.Status.toLowerCase() ?? "none",
  ]);
  const table = [["NAME", "STACK", "INSTANCE", "TYPE", "ADDRESS", "ZONE", "STATE", "MACHINE"], ...rows];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  for (const row of table)
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join("  ")
        .trimEnd(),
    );
  return 0;
}

async function engineOf(cloud: Cloud): Promise<Docker> {
  const engine = await findEngine();
  if (!engine || !existsSync(cloud.stateDir)) {
    throw new UserError(`The local cloud "${cloud.name}" is not up.`, "Start it: tsx cloud/cli.ts up (or make up).");
  }
  return engine.docker;
}

/** Runs a command in all of a machine's namespaces, as its root, with this terminal. */
async function enter(docker: Docker, machine: Machine, command: readonly string[]): Promise<number> {
  if (machine.container?.State !== "running")
    throw new UserError(`${machine.name} is down.`, `Start it: start ${machine.name}.`);
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
  if (files.length === 0) throw new UserError(`The local cloud "${cloud.name}" has no logs.`, "It is not up.");
  return attached("tail", ["-n", "100", ...(follow ? ["-f"] : []), ...files], process.env);
}

/** Runs a command with this terminal and answers its exit code. */
function attached(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  return new Promise((done, fail) => {
    const child = spawn(command, args, { stdio: "inherit", env });
    child.on("error", fail);
    child.on("close", (code) => done(code ?? 1));
  });
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    const known = error instanceof UserError || (error as { code?: string }).code?.startsWith("ERR_PARSE_ARGS");
    console.error(known ? (error as Error).message : error);
    process.exit(1);
  },
);
