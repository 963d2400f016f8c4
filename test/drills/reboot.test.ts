/** A machine that is meant to come back always does: whoever asked for it, and whatever else happens at that moment. */
import { setTimeout as sleep } from "node:timers/promises";
import {
  CreateTagsCommand,
  RebootInstancesCommand,
  StartInstancesCommand,
  StopInstancesCommand,
} from "@aws-sdk/client-ec2";
import { afterAll, beforeAll, expect, it } from "vitest";
import { World, eventually } from "../support/world";
import { record } from "../support/results";

const HOST = 11;
let world: World;
let InstanceIds: string[];

beforeAll(async () => {
  world = await World.up("t-reboot", 5082, "10.82.0.0/16");
  InstanceIds = [await world.launch(HOST)];
  await world.reachable(HOST);
});
afterAll(() => world?.down());

/** Repeats something that takes the machine down and up. Each time the machine must be up again, in another boot. */
async function repeat(times: number, drill: string, downAndUp: () => Promise<unknown>): Promise<void> {
  const seconds: number[] = [];
  for (let time = 0; time < times; time++) {
    await world.reachable(HOST);
    const before = await world.boot(HOST);
    const start = Date.now();
    await downAndUp();
    await world.bootedAgain(HOST, before);
    seconds.push((Date.now() - start) / 1000);
    expect(await world.state(InstanceIds[0]!)).toBe("running");
  }
  seconds.sort((a, b) => a - b);
  const [median, longest] = [seconds[times >> 1]!, seconds.at(-1)!].map((value) => value.toFixed(1));
  record(`${drill}, ${times} times`, `back ${times} times; median ${median} s, longest ${longest} s`);
}

/** Runs systemctl on the machine itself. The connection may end before the command returns. */
const systemctl = (command: string): Promise<unknown> =>
  world.run(HOST, `sudo systemctl ${command}`).catch(() => undefined);
const stop = (): Promise<unknown> => world.ec2.send(new StopInstancesCommand({ InstanceIds }));
const start = (): Promise<unknown> => world.ec2.send(new StartInstancesCommand({ InstanceIds }));
const reboot = (): Promise<unknown> => world.ec2.send(new RebootInstancesCommand({ InstanceIds }));
/** Waits for a random time, in milliseconds at most, so that the other side can be anywhere in its work. */
const aMoment = (limit: number): Promise<void> => sleep(Math.random() * limit);

it("comes back when its own root reboots it", () =>
  repeat(100, "a machine rebooted by its own root", () => systemctl("reboot")));

it("comes back when its own root shuts it down and it is started as soon as the API reports it as stopped", () =>
  repeat(20, "a machine shut down by its own root and started", async () => {
    await systemctl("poweroff");
    const stopped = async (): Promise<boolean> => (await world.state(InstanceIds[0]!)) === "stopped";
    await eventually(async () => (await stopped()) || undefined, "the instance to be stopped");
    await start();
  }));

it("comes back when it is stopped, and started while the hypervisor reads another change", () =>
  repeat(60, "a machine started while the hypervisor reads", async () => {
    await stop();
    await world.settled();
    await world.ec2.send(
      new CreateTagsCommand({ Resources: InstanceIds, Tags: [{ Key: "time", Value: `${Date.now()}` }] }),
    );
    await aMoment(40);
    await start();
  }));

it("comes back when it is stopped and started in quick succession", () =>
  repeat(20, "a machine stopped and started three times in quick succession", async () => {
    for (const step of [stop, start, stop, start, stop, start]) {
      await step();
      await aMoment(800);
    }
  }));

it.each(["reboot", "poweroff"])("comes back when the API reboots it during its own %s", (command) =>
  repeat(20, `a machine rebooted by the API during its own ${command}`, async () => {
    const own = systemctl(command);
    await aMoment(1_500);
    await reboot();
    await own;
  }),
);
