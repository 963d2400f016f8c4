/** A container engine that is not the cloud's own: it is restarted or killed, and its machines come back with their data. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, openSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { cloudUp } from "../../cloud";
import { World, eventually } from "../support/world";

const HOST = 11;
const home = mkdtempSync(join(tmpdir(), "kfs-engine-"));
const log = openSync(join(home, "log"), "a");
const socket = join(home, "engine.sock");
const before = process.env["DOCKER_HOST"];
let dockerd: ChildProcess;
let world: World;
let id: string;

async function startEngine(): Promise<void> {
  dockerd = spawn(
    "dockerd",
    [
      ...["--data-root", join(home, "data"), "--exec-root", join(home, "exec"), "--pidfile", join(home, "pid")],
      ...["--host", `unix://${socket}`, "--bridge=none", "--iptables=false"],
    ],
    { stdio: ["ignore", log, log] },
  );
  const responds = async (): Promise<true | undefined> => {
    try {
      execFileSync("docker", ["--host", `unix://${socket}`, "version"], { stdio: "ignore" });
      return true;
    } catch {
      return undefined;
    }
  };
  await eventually(responds, "the engine to respond");
}

/** Ends the engine with a signal, and waits until it has ended. */
async function end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
  const ended = once(dockerd, "exit");
  dockerd.kill(signal);
  await ended;
}

/** Cuts the power: the engine, its containerd, the shims and the containers end at once, and so does what is in memory. */
async function cutPower(): Promise<void> {
  const docker = await world.docker();
  const containers = await Promise.all(
    (await docker.listContainers()).map(({ Id }) => docker.getContainer(Id).inspect()),
  );
  await end("SIGKILL");
  const rest = readdirSync("/proc").filter(
    (name) => /^\d+$/.test(name) && commandOf(name).includes(join(home, "exec")),
  );
  const machines = containers.map(({ State }) => State.Pid).filter((pid) => pid > 1); // 0: it has ended by itself
  for (const pid of [...rest.map(Number), ...machines]) process.kill(pid, "SIGKILL");
  unmountBelow(join(home, "exec"));
  rmSync(join(home, "exec"), { recursive: true });
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return ""; // it has ended in the meantime
  }
}

function unmountBelow(directory: string): void {
  const points = readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "");
  for (const point of points.filter((path) => path.startsWith(`${directory}/`)).reverse())
    execFileSync("umount", [point]);
}

beforeAll(async () => {
  await startEngine();
  process.env["DOCKER_HOST"] = `unix://${socket}`;
  world = await World.up("t-engine", 5084, "10.84.0.0/16");
  id = await world.launch(HOST);
  await world.reachable(HOST);
  await world.run(HOST, "echo kept | sudo tee /var/marker; sync");
});
afterAll(async () => {
  await world?.down();
  if (before === undefined) delete process.env["DOCKER_HOST"];
  else process.env["DOCKER_HOST"] = before;
  await end("SIGTERM");
  unmountBelow(home);
  rmSync(home, { recursive: true, force: true });
});

it("is remembered, whatever DOCKER_HOST says later", async () => {
  delete process.env["DOCKER_HOST"];
  world.cloud = await cloudUp(world.cloud);
  const { DockerRootDir } = (await (await world.docker()).info()) as { DockerRootDir: string };
  expect(DockerRootDir).toBe(join(home, "data"));
});

it.each([
  ["it is restarted", () => end("SIGTERM")],
  ["the power of the host was cut", cutPower],
] as const)("brings the machines back when %s", async (_, stop) => {
  const boot = await world.boot(HOST);
  await stop();
  await expect(cloudUp(world.cloud)).rejects.toThrow(
    /in the container engine at .*engine.sock, which does not respond/,
  );
  await startEngine();
  await world.bootedAgain(HOST, boot);
  expect((await world.run(HOST, "cat /var/marker")).stdout).toBe("kept");
  expect(await world.state(id)).toBe("running");
});
