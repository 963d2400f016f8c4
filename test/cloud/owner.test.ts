/** A cloud whose state directory is moved, copied or lost, as happens when a checkout is. */
import { cpSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CreateTagsCommand } from "@aws-sdk/client-ec2";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cloudDown, cloudStatus, cloudUp } from "../../cloud";
import { LABEL } from "../../cloud/names";
import { runningPid } from "../../lib/process";
import { World, eventually } from "../support/world";

const NAME = "t-owner";
const PORT = 5083;
const HOST = 11;
const checkouts = mkdtempSync(join(tmpdir(), "kfs-owner-"));
const at = (checkout: string) => ({ name: NAME, port: PORT, stateRoot: join(checkouts, checkout) });
let world: World;

beforeAll(async () => {
  world = await World.up(NAME, PORT, "10.83.0.0/16", undefined, join(checkouts, "first"));
  await world.launch(HOST);
  await world.reachable(HOST);
  await world.run(HOST, "echo kept | sudo tee /var/marker");
});
afterAll(async () => {
  await world?.down();
  rmSync(checkouts, { recursive: true, force: true });
});

/** Whether nothing listens on a port of the loopback interface. */
const isFree = (port: number): Promise<boolean> =>
  new Promise((done) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => (socket.destroy(), done(false))).once("error", () => done(true));
  });

const move = (from: string, to: string): void => renameSync(join(checkouts, from), join(checkouts, to));

/** Everything in the engine with the cloud's name. */
async function things(): Promise<{ containers: string[]; volumes: string[]; networks: string[] }> {
  const docker = await world.docker();
  const filters = { label: [`${LABEL.cloud}=${NAME}`] };
  const containers = await docker.listContainers({ all: true, filters });
  const volumes = await docker.listVolumes({ filters });
  const networks = await docker.listNetworks({ filters });
  return {
    containers: containers.map(({ Names }) => Names[0]!).sort(),
    volumes: volumes.Volumes.map(({ Name }) => Name).sort(),
    networks: networks.map(({ Name }) => Name),
  };
}

/** The machine runs as it did, and the cloud still does what it is told. */
async function goesOn(boot: string): Promise<void> {
  await world.reachable(HOST);
  expect((await world.run(HOST, "cat /var/marker")).stdout).toBe("kept");
  expect(await world.boot(HOST), "it was not restarted").toBe(boot);
  await world.ec2.send(
    new CreateTagsCommand({ Resources: [world.vpcId], Tags: [{ Key: "time", Value: `${Date.now()}` }] }),
  );
  await world.settled();
  const docker = await world.docker();
  for (const { Id } of await docker.listContainers({ filters: { label: [`${LABEL.cloud}=${NAME}`] } }))
    for (const { Type, Source } of (await docker.getContainer(Id).inspect()).Mounts)
      if (Type === "bind" && Source.startsWith(checkouts)) expect(Source).toContain(world.cloud.stateDir);
}

describe("a checkout that is moved", () => {
  it("takes its machines along, as often as it is moved", async () => {
    const boot = await world.boot(HOST);
    const before = await things();
    const pids = ["hypervisor", "ec2-api"].map((name) => runningPid({ name, directory: world.cloud.stateDir }));
    move("first", "second");
    world.cloud = await cloudUp(at("second"));
    await goesOn(boot);
    expect(await things()).toEqual(before);
    const now = ["hypervisor", "ec2-api"].map((name) => runningPid({ name, directory: world.cloud.stateDir }));
    for (const [index, pid] of now.entries()) expect(pid).not.toBe(pids[index]);
    move("second", "first");
    world.cloud = await cloudUp(at("first"));
    await goesOn(boot);
  });
});

describe("a copy of a checkout", () => {
  it("is refused as long as the original has the cloud, and touches nothing", async () => {
    const boot = await world.boot(HOST);
    cpSync(join(checkouts, "first"), join(checkouts, "copy"), { recursive: true });
    const refusal = new RegExp(`is a copy.*${join(checkouts, "first", NAME)}`);
    await expect(cloudUp(at("copy"))).rejects.toThrow(refusal);
    await expect(cloudDown(at("copy"))).rejects.toThrow(refusal);
    await goesOn(boot);
    expect((await cloudStatus(world.cloud)).runs).toBe(true);
    rmSync(join(checkouts, "copy"), { recursive: true });
  });
});

describe("another checkout with a cloud of the same name", () => {
  it("is refused, and told where the other one is", async () => {
    const refusal = new RegExp(`already a local cloud named "${NAME}".*${join(checkouts, "first", NAME)}.*LAB_CLOUD`);
    await expect(cloudUp(at("other"))).rejects.toThrow(refusal);
    await expect(cloudUp({ ...at("other"), removeAbandoned: true })).rejects.toThrow(refusal);
  });

  it("removes the other one only if it cannot be seen and the user says so", async () => {
    const before = await things();
    mkdirSync(join(checkouts, "hidden"));
    renameSync(world.cloud.stateDir, join(checkouts, "hidden", NAME));
    await expect(cloudUp(at("other"))).rejects.toThrow(/1 machines, 1 volumes and 1 networks.*ABANDONED=remove/);
    await expect(cloudDown(at("other"))).rejects.toThrow(/ABANDONED=remove/);
    expect(await things()).toEqual(before);

    await eventually(async () => (await isFree(PORT)) || undefined, "the hidden cloud's API to end with its directory");
    world.cloud = await cloudUp({ ...at("other"), removeAbandoned: true });
    expect(await things()).toEqual({ containers: [], volumes: [], networks: [] });
  });
});
