/** The life of one machine: boot, SSH, stop, start, reboot, death, termination. */
import {
  RebootInstancesCommand,
  StartInstancesCommand,
  StopInstancesCommand,
  TerminateInstancesCommand,
  DescribeInstanceStatusCommand,
  ModifyInstanceAttributeCommand,
  type _InstanceType,
} from "@aws-sdk/client-ec2";
import { cpus, totalmem } from "node:os";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cloudUp } from "../../cloud";
import { apiEndpoint, ec2ApiPid } from "../../cloud/ec2-api";
import { Api } from "../../cloud/hypervisor/desired";
import { Faults, findMachine, listMachines, Machine } from "../../cloud/machines";
import { waitFor } from "../../lib/process";
import { World, eventually, newKey } from "../support/world";

let world: World;
let id: string;
const HOST = 11;

const userData = `#cloud-config
hostname: first
write_files:
  - path: /etc/written-by-user-data
    content: from the user data
`;

beforeAll(async () => {
  world = await World.up("t-machines", 5077, "10.77.0.0/16");
  id = await world.launch(HOST, { userData, name: "first" });
  await world.reachable(HOST);
});
afterAll(() => world?.down());

const markers = async (): Promise<string> => (await world.run(HOST, "cat /var/marker /etc/marker")).stdout;
const machine = async (): Promise<Machine> =>
  findMachine(await listMachines(world.cloud, await world.docker()), "first", undefined);
const engineMachine = async () => (await world.docker()).getContainer((await machine()).container!.Id);

describe("a machine", () => {
  it("boots a full system in which cloud-init applies the user data", async () => {
    expect((await world.run(HOST, "hostname")).stdout).toBe("first");
    expect((await world.run(HOST, "cat /etc/written-by-user-data")).stdout).toBe("from the user data");
    expect((await world.run(HOST, "cloud-init status --wait | tail -1")).stdout).toContain("done");
    expect((await world.run(HOST, "systemctl is-system-running --wait")).stdout).toBe("running");
    expect((await world.run(HOST, "cloud-init query v1.instance_id")).stdout).toBe(id);
    expect((await world.run(HOST, "hostname -I")).stdout).toBe(world.address(HOST));
  });

  it("accepts its key, for a user with sudo, and rejects any other", async () => {
    expect((await world.run(HOST, "whoami; sudo -n whoami")).stdout).toBe("admin\nroot");
    await expect(world.run(HOST, "true", newKey().private)).rejects.toThrow(/authentication methods failed/);
  });

  it("keeps its disk when it is stopped and started", async () => {
    await world.run(HOST, "echo kept | sudo tee /var/marker /etc/marker");
    const before = await world.boot(HOST);
    await world.ec2.send(new StopInstancesCommand({ InstanceIds: [id] }));
    await world.settled();
    expect((await machine()).container?.State).toBe("exited");
    await world.ec2.send(new StartInstancesCommand({ InstanceIds: [id] }));
    await world.reachable(HOST);
    expect(await world.boot(HOST)).not.toBe(before);
    expect(await markers()).toBe("kept\nkept");
  });

  it("has the size of its instance type, also if that is changed while it is stopped", async () => {
    const memory = async (): Promise<number> =>
      Number((await world.run(HOST, "awk '/^MemTotal:/ { print $2 }' /proc/meminfo")).stdout) / 2 ** 20;
    const processors = async (): Promise<number> =>
      Number((await world.run(HOST, "grep -c ^processor /proc/cpuinfo")).stdout);
    const online = async (): Promise<string> =>
      (await world.run(HOST, "cat /sys/devices/system/cpu/online")).stdout.trim();
    const limit = async (): Promise<number> => (await (await engineMachine()).inspect()).HostConfig.Memory! / 2 ** 30;
    const change = async (type: _InstanceType): Promise<void> => {
      await world.ec2.send(new StopInstancesCommand({ InstanceIds: [id] }));
      const InstanceType = { Value: type };
      await world.ec2.send(new ModifyInstanceAttributeCommand({ InstanceId: id, InstanceType }));
      await world.ec2.send(new StartInstancesCommand({ InstanceIds: [id] }));
      await world.reachable(HOST);
    };
    for (const [type, gib, vcpus] of [
      ["t2.small", 2, 1],
      ["t3.large", 8, 2],
      ["t3.medium", 4, 2],
    ] as const) {
      await change(type);
      expect(await limit()).toBe(gib);
      expect(await memory()).toBe(Math.min(gib, Math.floor(totalmem() / 1024) / 2 ** 20));
      const expected = Math.min(vcpus, cpus().length);
      expect(await processors()).toBe(expected);
      expect(await online()).toBe(expected === 1 ? "0" : `0-${expected - 1}`);
    }
  });

  it("reboots exactly once when the API requests it", async () => {
    const before = await world.boot(HOST);
    await world.ec2.send(new RebootInstancesCommand({ InstanceIds: [id] }));
    await world.reachable(HOST);
    const after = await world.boot(HOST);
    expect(after).not.toBe(before);
    await new Promise((done) => setTimeout(done, 2_500));
    expect(await world.boot(HOST)).toBe(after);
  });

  it("reboots when root on the machine requests it", async () => {
    const before = await world.boot(HOST);
    await world.run(HOST, "sudo systemctl reboot").catch(() => undefined);
    await world.bootedAgain(HOST, before);
    expect(await world.state(id)).toBe("running");
  });

  it("is stopped in the API as well when root on the machine shuts it down", async () => {
    await world.run(HOST, "sudo systemctl poweroff").catch(() => undefined);
    await eventually(
      async () => ((await world.state(id)) === "stopped" ? true : undefined),
      "the instance to be stopped",
    );
    process.kill(ec2ApiPid(world.cloud)!, "SIGKILL");
    await waitFor(() => ec2ApiPid(world.cloud) === undefined, 5_000);
    await cloudUp(world.cloud);
    expect(await world.state(id), "after a restart of the API").toBe("stopped");
    await world.ec2.send(new StartInstancesCommand({ InstanceIds: [id] }));
    await world.reachable(HOST);
  });

  it("keeps running when the shutdown of an earlier boot is reported late", async () => {
    const earlier = await machine();
    await world.ec2.send(new RebootInstancesCommand({ InstanceIds: [id] }));
    await new Api(apiEndpoint(world.cloud)).stopped(earlier);
    expect(await world.state(id)).toBe("running");
    await world.reachable(HOST);
  });

  it("stays down when it dies, fails its status checks, and comes back when it is started", async () => {
    const faults = new Faults(world.cloud, await world.docker());
    await faults.kill(await machine());
    const checks = async (): Promise<string | undefined> =>
      (await world.ec2.send(new DescribeInstanceStatusCommand({ InstanceIds: [id] }))).InstanceStatuses?.[0]
        ?.InstanceStatus?.Status;
    await eventually(async () => ((await checks()) === "impaired" ? true : undefined), "status checks to fail");
    await new Promise((done) => setTimeout(done, 2_500));
    expect((await machine()).container?.State).toBe("exited");
    expect(await world.state(id)).toBe("running");
    await faults.start(await machine());
    await world.reachable(HOST);
    expect(await markers()).toBe("kept\nkept");
    await eventually(async () => ((await checks()) === "ok" ? true : undefined), "status checks to pass");
  });

  it("leaves nothing behind when it is terminated, and frees its address", async () => {
    await world.ec2.send(new TerminateInstancesCommand({ InstanceIds: [id] }));
    await world.settled();
    const docker = await world.docker();
    const filters = { label: [`kubernetes-from-scratch.id=${id}`] };
    expect(await docker.listContainers({ all: true, filters })).toEqual([]);
    expect((await docker.listVolumes({ filters })).Volumes ?? []).toEqual([]);
    const next = await world.launch(HOST);
    await world.reachable(HOST);
    expect((await world.run(HOST, "ls /etc/marker")).exitCode).not.toBe(0);
    expect(next).not.toBe(id);
  });
});
