/** A cloud whose processes are killed: what it recovers, what it rejects, and that it leaves nothing behind. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import {
  CreateVpcCommand,
  DescribeInstancesCommand,
  DescribeInstanceStatusCommand,
  RebootInstancesCommand,
  TerminateInstancesCommand,
} from "@aws-sdk/client-ec2";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { UserError, cloudDown, cloudOf, cloudUp } from "../../cloud";
import { bridgePrefix } from "../../cloud/names";
import { settingsFile } from "../../cloud/state-dir";
import { runningPid } from "../../lib/process";
import { cloudsDir } from "../../tools/places";
import { eventually, World } from "../support/world";

let world: World;
const PORT = 5080;

const daemon = (name: string): number => runningPid({ name, directory: world.cloud.stateDir })!;
const again = (): Promise<unknown> => cloudUp(world.cloud);

beforeAll(async () => {
  world = await World.up("t-recovery", PORT, "10.81.0.0/16");
});
afterAll(() => world?.down());

describe("a cloud", () => {
  it("converges if its hypervisor is killed in the middle of its work", async () => {
    const ids: string[] = [];
    for (const host of [11, 12, 13]) {
      ids.push(await world.launch(host));
      process.kill(daemon("hypervisor"), "SIGKILL"); // at some point between creating a machine and starting it
      await again();
    }
    await world.reachable(11, 12, 13);
    const docker = await world.docker();
    const filters = {
      label: [`kubernetes-from-scratch.cloud=${world.cloud.name}`, "kubernetes-from-scratch.kind=machine"],
    };
    const machines = await docker.listContainers({ all: true, filters });
    expect(machines.map(({ Labels }) => Labels["kubernetes-from-scratch.id"]).sort()).toEqual(ids.sort());
  });

  it("keeps and remembers its machines if its API is killed", async () => {
    const instances = async (): Promise<unknown> =>
      (await world.ec2.send(new DescribeInstancesCommand({}))).Reservations;
    const before = await instances();
    const boots = await world.boot(11);
    process.kill(daemon("ec2-api"), "SIGKILL");
    await again();
    expect(await instances()).toEqual(before);
    await world.settled();
    expect(await world.boot(11)).toBe(boots);
  });

  it("can be started again without touching what is running", async () => {
    const pids = [daemon("hypervisor"), daemon("ec2-api")];
    await again();
    expect([daemon("hypervisor"), daemon("ec2-api")]).toEqual(pids);
  });

  it("runs new code in both processes once its sources have changed, and its machines go on", async () => {
    const pids = [daemon("hypervisor"), daemon("ec2-api")];
    const boots = await world.boot(11);
    const file = settingsFile(world.cloud.stateDir);
    writeFileSync(file, readFileSync(file, "utf8").replace(/"code": "\w+"/, '"code": "earlier"'));
    await again();
    for (const pid of [daemon("hypervisor"), daemon("ec2-api")]) expect(pids).not.toContain(pid);
    await world.settled();
    expect(await world.boot(11)).toBe(boots);
  });

  it("removes a machine that was terminated while its hypervisor was down", async () => {
    const { Reservations } = await world.ec2.send(new DescribeInstancesCommand({}));
    const id = Reservations!
      .flatMap(({ Instances }) => Instances!)
      .find((i) => i.PrivateIpAddress === world.address(13))!.InstanceId!;
    process.kill(daemon("hypervisor"), "SIGKILL");
    await world.ec2.send(new TerminateInstancesCommand({ InstanceIds: [id] }));
    await again();
    await world.settled();
    const filters = { label: [`kubernetes-from-scratch.id=${id}`] };
    expect(await (await world.docker()).listContainers({ all: true, filters })).toEqual([]);
  });

  it("shuts down a machine that its damaged state no longer has, keeps its disk, and frees its address", async () => {
    const boots = await world.boot(11);
    const id = await world.launch(14);
    await world.reachable(14);
    for (const name of ["hypervisor", "ec2-api"]) process.kill(daemon(name), "SIGKILL");
    writeFileSync(join(world.cloud.stateDir, "ec2-api.pickle"), "");
    const warnings: string[] = [];
    await cloudUp({ ...world.cloud, warn: (line) => warnings.push(line) });
    expect(warnings).toEqual([
      expect.stringMatching(/ec2-api\.pickle is empty\. The EC2 API goes on without the change after number \d+/),
      expect.stringMatching(`does not know these machines, .*: kfs-t-recovery-machine-${id}\\. They are shut down`),
    ]);
    await world.settled();
    expect(await world.boot(11)).toBe(boots);
    const docker = await world.docker();
    const filters = { label: [`kubernetes-from-scratch.id=${id}`] };
    expect((await docker.listContainers({ all: true, filters })).map(({ State }) => State)).toEqual(["exited"]);
    expect((await docker.listVolumes({ filters })).Volumes).toHaveLength(1);
    expect(await world.launch(14)).not.toBe(id);
    await world.reachable(14);
  });

  it("makes no empty machine in place of one whose container was removed, and ends its instance when it is to boot", async () => {
    const id = await world.launch(15);
    await world.reachable(15);
    const docker = await world.docker();
    const filters = { label: [`kubernetes-from-scratch.id=${id}`] };
    const present = (): Promise<unknown[]> => docker.listContainers({ all: true, filters });
    for (const { Id } of await docker.listContainers({ all: true, filters }))
      await docker.getContainer(Id).remove({ force: true });
    const status = async (): Promise<string | undefined> => {
      const { InstanceStatuses } = await world.ec2.send(new DescribeInstanceStatusCommand({ InstanceIds: [id] }));
      return InstanceStatuses?.[0]?.InstanceStatus?.Status;
    };
    await eventually(async () => (await status()) === "impaired" || undefined, "the instance to be impaired");
    await again();
    await world.settled();
    expect(await present()).toEqual([]);
    expect(await world.state(id)).toBe("running");
    await world.ec2.send(new RebootInstancesCommand({ InstanceIds: [id] }));
    await eventually(async () => (await world.state(id)) === "terminated" || undefined, "the instance to end");
    await world.settled();
    expect(await present()).toEqual([]);
    expect(await world.launch(15)).not.toBe(id);
    await world.reachable(15);
  });

  it("rejects a VPC that overlaps a network of the host, and names that network", async () => {
    const overlap = world.ec2.send(new CreateVpcCommand({ CidrBlock: world.cidr }));
    await expect(overlap).rejects.toThrow(/10\.81\.0\.0\/16.*is a network of the machine.*Choose another VPC CIDR/);
  });

  it("reports that its port is in use", async () => {
    const other = cloudOf({ name: "t-port", port: 5081, stateRoot: cloudsDir });
    const server = createServer().listen(other.port, "127.0.0.1");
    try {
      await expect(cloudUp(other)).rejects.toThrow(UserError);
      await expect(cloudUp(other)).rejects.toThrow(/Port 5081 .* is in use.*LAB_CLOUD_PORT/);
    } finally {
      server.close();
      await cloudDown(other);
    }
  });

  it("leaves nothing behind when it is taken down", async () => {
    const pids = [daemon("hypervisor"), daemon("ec2-api")];
    const docker = await world.docker();
    await world.down();

    const filters = { label: [`kubernetes-from-scratch.cloud=${world.cloud.name}`] };
    const left = await Promise.all([
      docker.listContainers({ all: true, filters }),
      docker.listNetworks({ filters }),
    ]).catch(
      () => [[], []], // the private engine has stopped with its last cloud
    );
    expect(left).toEqual([[], []]);
    for (const pid of pids) expect(existsSync(`/proc/${pid}/exe`)).toBe(false);
    const text = (command: string, ...args: string[]): string => execFileSync(command, args, { encoding: "utf8" });
    const prefix = bridgePrefix(world.cloud);
    expect(text("ip", "link")).not.toContain(prefix);
    expect(text("ip", "rule")).not.toContain(prefix);
    expect(text("nft", "list", "tables")).not.toContain("t_recovery");
    expect(readFileSync("/etc/hosts", "utf8")).not.toContain("t-recovery");
    expect(existsSync(world.cloud.stateDir)).toBe(false);
  });
});
