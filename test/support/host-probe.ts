/** Takes a cloud up and down on the host of private-host.sh, and prints what the host looked like, as JSON. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { runningPid } from "../../lib/process";
import { World, eventually } from "./world";

/** Everything on the host that `down` must leave as it was before `up`. */
function snapshot(): Record<string, string> {
  const text = (command: string, ...args: string[]): string => execFileSync(command, args, { encoding: "utf8" });
  const settings = ["net.ipv4.ip_forward", "net.ipv4.conf.all.rp_filter", "fs.inotify.max_user_instances"];
  return {
    iptables: text("iptables-save").replace(/^#.*\n|\[\d+:\d+\]/gm, ""),
    nftables: text("nft", "--stateless", "list", "ruleset"),
    settings: text("sysctl", ...settings) + text("sysctl", "-ar", "net.bridge"),
    rules: text("ip", "rule"),
    routes: text("ip", "route", "show", "table", "all"),
    links: text("ip", "-br", "link"),
    // without those of others' containers, which may come and go
    mounts: readFileSync("/proc/self/mounts", "utf8").replace(/^(overlay|\S+ \/tmp\/).*\n/gm, ""),
    hosts: readFileSync("/etc/hosts", "utf8"),
    resolvers: readFileSync("/etc/resolv.conf", "utf8"),
  };
}

/** The source address that a server outside sees when the machine connects to it; undefined if it cannot. */
async function seenOutside(world: World, host: number): Promise<string | undefined> {
  const code =
    "import socket; s = socket.create_server(('', 9000)); print('ready', flush=True); print(s.accept()[1][0])";
  const server = spawn("ip", ["netns", "exec", "outside", "python3", "-c", code]);
  const closed = once(server, "close");
  let output = "";
  server.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  await eventually(async () => Promise.resolve(output.includes("ready") || undefined), "the server outside");
  const connected = await world.opens(host, "198.51.100.1", 9000);
  if (!connected) server.kill();
  await closed;
  return connected ? output.split("\n")[1] : undefined;
}

/** Whether a machine's SSH port can be reached from outside, which has a route to it. */
function reachedFromOutside(address: string): boolean {
  try {
    const code = `import socket; socket.create_connection(("${address}", 22), timeout=2)`;
    execFileSync("ip", ["netns", "exec", "outside", "python3", "-c", code], { stdio: "pipe" });
    return true;
  } catch (error) {
    if (/TimeoutError|timed out/.test(String(error))) return false;
    throw error;
  }
}

/** Does what a user may try instead of `down`. */
async function removeByHand(world: World): Promise<void> {
  process.kill(runningPid({ name: "hypervisor", directory: world.cloud.stateDir })!, "SIGKILL");
  const docker = await world.docker();
  for (const { Id } of await docker.listContainers({ all: true }))
    await docker.getContainer(Id).remove({ force: true });
  await docker.pruneNetworks();
}

async function main(): Promise<void> {
  const before = snapshot();
  const world = await World.up("t-host", 5095, "10.95.0.0/16");
  const open = await world.group("open");
  await world.allow(open, { IpProtocol: "-1", IpRanges: [{ CidrIp: "0.0.0.0/0" }] });
  for (const host of [11, 12]) await world.launch(host, { groups: [open] });
  await world.reachable(11, 12);
  const between = await world.opens(11, world.address(12), 22);
  const seen = await seenOutside(world, 11);
  const during = { between, seen, reached: reachedFromOutside(world.address(11)), ...snapshot() };
  if (process.env["REMOVED_BY_HAND"]) await removeByHand(world);
  await world.down();
  console.log(JSON.stringify({ before, during, after: snapshot() }));
}

void main();
