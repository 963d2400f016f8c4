/** A network load balancer with two targets: names, balancing, health checks, security groups. */
import { lookup } from "node:dns/promises";
import {
  CreateListenerCommand,
  CreateLoadBalancerCommand,
  CreateTargetGroupCommand,
  DeleteLoadBalancerCommand,
  DescribeTargetGroupsCommand,
  DescribeTargetHealthCommand,
  RegisterTargetsCommand,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { World, eventually } from "../support/world";

let world: World;
let ids: string[];
let arn: string;
let name: string;
let targetGroup: string;
const [A, B, CLIENT] = [11, 12, 21];

/** The text that the load balancer returns to a client in the VPC. */
const ask = async (): Promise<string> => (await world.run(CLIENT, `curl -s -m 2 http://${name}/`)).stdout;
const health = async (): Promise<Record<string, string | undefined>> => {
  const { TargetHealthDescriptions } = await world.balancing.send(
    new DescribeTargetHealthCommand({ TargetGroupArn: targetGroup }),
  );
  return Object.fromEntries(
    TargetHealthDescriptions!.map(({ Target, TargetHealth }) => [Target!.Id!, TargetHealth?.State]),
  );
};
const becomes = (id: string, state: string): Promise<unknown> =>
  eventually(async () => ((await health())[id] === state ? true : undefined), `${id} to be ${state}`);

beforeAll(async () => {
  world = await World.up("t-balancer", 5079, "10.80.0.0/16");
  const balancer = await world.group("balancer");
  const backend = await world.group("backend");
  await world.allow(balancer, { IpProtocol: "tcp", FromPort: 80, ToPort: 80, IpRanges: [{ CidrIp: world.cidr }] });
  await world.allow(backend, {
    IpProtocol: "tcp",
    FromPort: 8000,
    ToPort: 8000,
    UserIdGroupPairs: [{ GroupId: balancer }],
  });
  ids = await Promise.all([A, B].map((host) => world.launch(host, { groups: [world.ssh, backend] })));
  await world.launch(CLIENT);
  await world.reachable(A, B, CLIENT);
  await Promise.all([world.serve(A, 8000, "a"), world.serve(B, 8000, "b")]);

  const { balancing } = world;
  const groups = await balancing.send(
    new CreateTargetGroupCommand({
      ...{ Name: "web", Protocol: "TCP", Port: 8000, VpcId: world.vpcId, TargetType: "instance" },
      ...{
        HealthCheckProtocol: "HTTP",
        HealthCheckPath: "/",
        HealthCheckIntervalSeconds: 5,
        HealthCheckTimeoutSeconds: 2,
      },
      ...{ HealthyThresholdCount: 2, UnhealthyThresholdCount: 2 },
    }),
  );
  targetGroup = groups.TargetGroups![0]!.TargetGroupArn!;
  const created = await balancing.send(
    new CreateLoadBalancerCommand({
      ...{ Name: "front", Type: "network", Scheme: "internal", SecurityGroups: [balancer] },
      SubnetMappings: [{ SubnetId: world.subnetId, PrivateIPv4Address: world.address(10) }],
    }),
  );
  arn = created.LoadBalancers![0]!.LoadBalancerArn!;
  name = created.LoadBalancers![0]!.DNSName!;
  // Without a listener it has no target group, and the hypervisor must be able to read that.
  const { TargetGroups } = await balancing.send(new DescribeTargetGroupsCommand({ LoadBalancerArn: arn }));
  expect(TargetGroups ?? []).toEqual([]);
  const DefaultActions = [{ Type: "forward" as const, TargetGroupArn: targetGroup }];
  await balancing.send(new CreateListenerCommand({ LoadBalancerArn: arn, Protocol: "TCP", Port: 80, DefaultActions }));
  const Targets = ids.map((Id) => ({ Id }));
  await balancing.send(new RegisterTargetsCommand({ TargetGroupArn: targetGroup, Targets }));
});
afterAll(() => world?.down());

describe("a network load balancer", () => {
  it("has an address and a name, which resolves in the VPC and on the host", async () => {
    await world.settled();
    expect(name).toMatch(/^front-[0-9a-f]+\.elb\.ap-southeast-1\.amazonaws\.com$/);
    await eventually(
      async () => (await world.run(CLIENT, `getent ahostsv4 ${name}`)).stdout.includes(world.address(10)) || undefined,
      "its name to resolve",
    );
    expect((await lookup(name)).address).toBe(world.address(10));
  });

  it("balances across the targets that pass their health check", async () => {
    await Promise.all(ids.map((id) => becomes(id, "healthy")));
    const responses = new Set<string>();
    for (let request = 0; request < 6; request++) responses.add(await ask());
    expect([...responses].sort()).toEqual(["a", "b"]);
  });

  it("reaches targets that admit nothing but its security group", async () => {
    expect(await world.opens(CLIENT, world.address(A), 8000)).toBe(false);
    expect(await world.opens(CLIENT, world.address(10), 80)).toBe(true);
    expect(await world.opens(CLIENT, world.address(10), 81)).toBe(false);
  });

  it("drops a target that fails its check, and takes it back when it recovers", async () => {
    await world.run(A, "sudo systemctl stop serve-8000");
    await becomes(ids[0]!, "unhealthy");
    for (let request = 0; request < 5; request++) expect(await ask()).toBe("b");
    await world.serve(A, 8000, "a");
    await becomes(ids[0]!, "healthy");
    await eventually(async () => ((await ask()) === "a" ? true : undefined), "the target to get requests again");
  });

  it("keeps established connections when its configuration changes", async () => {
    const script = `exec 3<>/dev/tcp/${world.address(10)}/80; sleep 4; printf "GET / HTTP/1.0\\r\\n\\r\\n" >&3; timeout 3 cat <&3`;
    const slow = world.run(CLIENT, `bash -c '${script}' | tail -1`);
    const DefaultActions = [{ Type: "forward" as const, TargetGroupArn: targetGroup }];
    await world.balancing.send(
      new CreateListenerCommand({ LoadBalancerArn: arn, Protocol: "TCP", Port: 81, DefaultActions }),
    );
    expect(["a", "b"]).toContain((await slow).stdout);
    expect(["a", "b"]).toContain(await ask());
  });

  it("leaves nothing behind when it is deleted", async () => {
    await world.balancing.send(new DeleteLoadBalancerCommand({ LoadBalancerArn: arn }));
    await eventually(
      async () =>
        await lookup(name).then(
          () => undefined,
          () => true,
        ),
      "its name to be gone",
    );
    const docker = await world.docker();
    const filters = { label: ["kubernetes-from-scratch.cloud=t-balancer", "kubernetes-from-scratch.kind=balancer"] };
    await eventually(
      async () => ((await docker.listContainers({ all: true, filters })).length === 0 ? true : undefined),
      "its container to be gone",
    );
  });
});
