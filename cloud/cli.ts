/** The local cloud's command line: `tsx cloud/cli.ts --help`. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type Docker from "dockerode";
import { findEngine } from "./container-engine";
import { Cloud, CloudOptions, Node, UserError, cloudDown, cloudOf, cloudStatus, cloudUp } from ".";
import { Drills, findNode, listNodes } from "./machines";

const HELP = `Usage: tsx cloud/cli.ts COMMAND [NODE] [--name CLOUD] [--port PORT] [--stack STACK]

  up        start what does not run   [--releases DIR] [--registry DIR] [--preload]
  down      end everything and remove it
  status    show the machines
  logs      show the cloud's own logs, or a machine's journal   [NODE] [--follow]
  console   a root shell on a machine   NODE
  exec      run a command as root on a machine   NODE -- COMMAND...
  kill      cut a machine's power   NODE
  start     start a machine that was stopped or died   NODE
  stop      shut a machine down   NODE
  reboot    shut a machine down and start it   NODE
  terminate lose a machine and its disk for good   NODE
  partition take a machine off the network, but for SSH   NODE
  heal      end its partition   NODE

CLOUD and PORT default to LAB_CLOUD ("lab") and LAB_CLOUD_PORT (5001). NODE is a machine's name, instance id or address.
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
  const nodes = await listNodes(cloud, docker);
  if (wanted === undefined)
    throw new UserError(`"${command}" wants a machine.`, `There are: ${nodes.map((n) => n.name).join(", ")}.`);
  const node = findNode(nodes, wanted, values.stack);
  if (command === "console") return enter(docker, node, ["bash", "--login"]);
  if (command === "exec") return enter(docker, node, rest);
  if (command === "logs")
    return enter(docker, node, ["journalctl", "--no-pager", ...(values.follow ? ["--follow"] : [])]);

  const drills = new Drills(cloud, docker);
  const actions: Record<string, (node: Node) => Promise<void>> = {
    kill: (it) => drills.kill(it),
    start: (it) => drills.start(it),
    stop: (it) => drills.stop(it),
    reboot: (it) => drills.reboot(it),
    terminate: (it) => drills.terminate(it),
    partition: (it) => drills.partition(it),
    heal: (it) => drills.heal(it),
  };
  const action = actions[command];
  if (!action) throw new UserError(`There is no command "${command}".`, `Say one of these:\n\n${HELP}`);
  await action(node);
  console.log(`${node.name} (${node.id}): ${command} done in ${((Date.now() - started) / 1000).toFixed(1)} s`);
  return 0;
}

async function status(options: CloudOptions): Promise<number> {
  const cloud = cloudOf(options);
  const { endpoint, runs, settled, nodes } = await cloudStatus(options);
  console.log(`cloud ${cloud.name}: ${runs ? `EC2 API at ${endpoint}${settled ? "" : ", busy"}` : "down"}`);
  if (nodes.length === 0) return runs ? 0 : 1;
  const rows = nodes.map((node) => [
    ...[node.name, node.stack ?? "-", node.id, node.type, node.privateIp, node.zone, node.state],
    node.container?.Status.toLowerCase() ?? "none",
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
async function enter(docker: Docker, node: Node, command: readonly string[]): Promise<number> {
  if (node.container?.State !== "running")
    throw new UserError(`${node.name} is down.`, `Start it: start ${node.name}.`);
  const { State } = await docker.getContainer(node.container.Id).inspect();
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
