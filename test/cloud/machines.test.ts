import {
  RebootInstancesCommand,
  StartInstancesCommand,
  StopInstancesCommand,
  TerminateInstancesCommand,
  DescribeInstanceStatusCommand,
} from "@aws-sdk/client-ec2";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { apiEndpoint } from "../../cloud/ec2-api";
import { Api } from "../../cloud/hypervisor/desired";
import { Drills, findNode, listNodes, Node } from "../../cloud/nodes";
import { World, eventually, newKey } from "./world";

let world: World;
let id: string;
const HOST = 11;

const userData = `#cloud-config
hostname: first
write_files:
  - path: /etc/written-by-user-data
    content: as it was told
`;

beforeAll(async () => {
  world = await World.up("t-machines", 5077, "10.77.0.0/16");
  id = await world.launch(HOST, { userData, name: "first" });
  await world.reachable(HOST);
});
afterAll(() => world?.down());

const markers = async (): Promise<string> => (await world.run(HOST, "cat /var/marker /etc/marker")).stdout;
const node = async (): Promise<Node> =>
  findNode(await listNodes(world.cloud, await world.docker()), "first", undefined);

describe("a machine", () => {
  it("boots a whole system, and cloud-init does what its user data says", async () => {
    expect((await world.run(HOST, "hostname")).stdout).toBe("first");
    expect((await world.run(HOST, "cat /etc/written-by-user-data")).stdout).toBe("as it was told");
    expect((await world.run(HOST, "cloud-init status --wait | tail -1")).stdout).toContain("done");
    expect((await world.run(HOST, "systemctl is-system-running --wait")).stdout).toBe("running");
    expect((await world.run(HOST, "cloud-init query v1.instance_id")).stdout).toBe(id);
    expect((await world.run(HOST, "hostname -I")).stdout).toBe(world.address(HOST));
  });

  it("is reached by its key, as a user with sudo, and refused without it", async () => {
    expect((await world.run(HOST, "whoami; sudo -n whoami")).stdout).toBe("admin\nroot");
    await expect(world.run(HOST, "true", newKey().private)).rejects.toThrow(/authentication methods failed/);
  });

  it("stops, and starts with the disk that it had", async () => {
    await world.run(HOST, "echo kept | sudo tee /var/marker /etc/marker");
    const before = await world.boot(HOST);
    await world.ec2.send(new StopInstancesCommand({ InstanceIds: [id] }));
    await world.settled();
    expect((await node()).container?.State).toBe("exited");
    await world.ec2.send(new StartInstancesCommand({ InstanceIds: [id] }));
    await world.reachable(HOST);
    expect(await world.boot(HOST)).not.toBe(before);
    expect(await markers()).toBe("kept\nkept");
  });

  it("reboots when the API says so, and once for each time", async () => {
    const before = await world.boot(HOST);
    await world.ec2.send(new RebootInstancesCommand({ InstanceIds: [id] }));
    await world.reachable(HOST);
    const after = await world.boot(HOST);
    expect(after).not.toBe(before);
    await new Promise((done) => setTimeout(done, 2_500));
    expect(await world.boot(HOST)).toBe(after);
  });

  it("reboots when its own root says so", async () => {
    const before = await world.boot(HOST);
    await world.run(HOST, "sudo systemctl reboot").catch(() => undefined);
    await world.bootedAgain(HOST, before);
    expect(await world.state(id)).toBe("running");
  });

  it("is stopped, for the API as well, when its own root shuts it down", async () => {
    await world.run(HOST, "sudo systemctl poweroff").catch(() => undefined);
    await eventually(
      async () => ((await world.state(id)) === "stopped" ? true : undefined),
      "the instance to be stopped",
    );
    await world.ec2.send(new StartInstancesCommand({ InstanceIds: [id] }));
    await world.reachable(HOST);
  });

  it("keeps running when the shutdown of an earlier boot is reported late", async () => {
    const earlier = await node();
    await world.ec2.send(new RebootInstancesCommand({ InstanceIds: [id] }));
    await new Api(apiEndpoint(world.cloud)).stopped(earlier);
    expect(await world.state(id)).toBe("running");
    await world.reachable(HOST);
  });

  it("stays dead when it dies, fails its status checks, and comes back when it is started", async () => {
    const drills = new Drills(world.cloud, await world.docker());
    await drills.kill(await node());
    const checks = async (): Promise<string | undefined> =>
      (await world.ec2.send(new DescribeInstanceStatusCommand({ InstanceIds: [id] }))).InstanceStatuses?.[0]
        ?.InstanceStatus?.Status;
    await eventually(async () => ((await checks()) === "impaired" ? true : undefined), "status checks to fail");
    await new Promise((done) => setTimeout(done, 2_500));
    expect((await node()).container?.State).toBe("exited");
    expect(await world.state(id)).toBe("running");
    await drills.start(await node());
    await world.reachable(HOST);
    expect(await markers()).toBe("kept\nkept");
    await eventually(async () => ((await checks()) === "ok" ? true : undefined), "status checks to pass");
  });

  it("leaves nothing when it is terminated, and its address is free again", async () => {
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
