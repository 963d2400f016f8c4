/** The network of a VPC: security groups, partitions, routes, isolation from other VPCs, resolver, served files. */
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  CreateRouteCommand,
  DescribeRouteTablesCommand,
  ModifyInstanceAttributeCommand,
  RevokeSecurityGroupIngressCommand,
} from "@aws-sdk/client-ec2";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Faults, Machine, findMachine, listMachines } from "../../cloud/machines";
import { World, eventually } from "../support/world";

let world: World;
let peers: string;
let ids: Record<number, string>;
const [A, B, OTHER] = [11, 12, 13];

/** Waits for a change of rules to take effect, for five seconds at most. */
const within = async (probe: () => Promise<boolean>, wanted: boolean): Promise<void> => {
  await eventually(
    async () => ((await probe()) === wanted ? true : undefined),
    `a connection to be ${wanted ? "open" : "closed"}`,
    5_000,
  );
};

beforeAll(async () => {
  const releases = mkdtempSync(join(tmpdir(), "releases-"));
  mkdirSync(join(releases, "example.org", "v1"), { recursive: true });
  writeFileSync(join(releases, "example.org", "v1", "file"), "0123456789");
  world = await World.up("t-network", 5078, "10.78.0.0/16", releases);
  peers = await world.group("peers");
  const [a, b, other] = await Promise.all([
    world.launch(A, { groups: [world.ssh, peers], name: "a" }),
    world.launch(B, { groups: [world.ssh, peers], name: "b" }),
    world.launch(OTHER, { name: "other" }),
  ]);
  ids = { [A]: a, [B]: b, [OTHER]: other };
  await world.reachable(A, B, OTHER);
  await Promise.all([world.serve(B, 8000, "b"), world.serve(A, 8000, "a")]);
});
afterAll(() => world?.down());

describe("security groups", () => {
  const b = (): string => world.address(B);

  it("keep a port closed to machines and to the gateway unless a rule opens it", async () => {
    expect(await world.opens(A, b(), 8000)).toBe(false);
    expect(await world.opensFromGateway(B, 8000)).toBe(false);
    expect(await world.opensFromGateway(B, 22)).toBe(true);
    expect((await world.run(A, `ping -c 1 -W 1 ${b()}`)).exitCode).not.toBe(0);
  });

  it("open a port to the members of a group only", async () => {
    await world.allow(peers, {
      IpProtocol: "tcp",
      FromPort: 8000,
      ToPort: 8001,
      UserIdGroupPairs: [{ GroupId: peers }],
    });
    await within(() => world.opens(A, b(), 8000), true);
    expect(await world.opens(OTHER, b(), 8000)).toBe(false);
    expect(await world.opensFromGateway(B, 8000)).toBe(false);
  });

  it("apply at once when a machine joins or leaves a group", async () => {
    const groups = (list: string[]): Promise<unknown> =>
      world.ec2.send(new ModifyInstanceAttributeCommand({ InstanceId: ids[OTHER], Groups: list }));
    await groups([world.ssh, peers]);
    await within(() => world.opens(OTHER, b(), 8000), true);
    await groups([world.ssh]);
    await within(() => world.opens(OTHER, b(), 8000), false);
  });

  it("close a port when its rule is revoked", async () => {
    const rule = { IpProtocol: "tcp", FromPort: 8000, ToPort: 8001, UserIdGroupPairs: [{ GroupId: peers }] };
    await world.ec2.send(new RevokeSecurityGroupIngressCommand({ GroupId: peers, IpPermissions: [rule] }));
    await within(() => world.opens(A, b(), 8000), false);
    await world.allow(peers, { IpProtocol: "tcp", FromPort: 8000, ToPort: 8000, IpRanges: [{ CidrIp: world.cidr }] });
    await within(() => world.opens(A, b(), 8000), true);
    await within(() => world.opensFromGateway(B, 8000), true);
  });

  it("open ping by ICMP type", async () => {
    await world.allow(peers, { IpProtocol: "icmp", FromPort: 8, ToPort: -1, UserIdGroupPairs: [{ GroupId: peers }] });
    await within(async () => (await world.run(A, `ping -c 1 -W 1 ${b()}`)).exitCode === 0, true);
  });

  it("are in force before a rebooted machine can be reached", async () => {
    const faults = new Faults(world.cloud, await world.docker());
    const machine = findMachine(await listMachines(world.cloud, await world.docker()), "b", undefined);
    let open = false;
    let done = false;
    const watch = (async () => {
      while (!done) open = (await world.opensFromGateway(B, 9)) || open;
    })();
    await faults.reboot(machine);
    await world.reachable(B);
    done = true;
    await watch;
    expect(open).toBe(false);
    await world.run(B, "sudo systemctl reset-failed").catch(() => undefined);
    await world.serve(B, 8000, "b");
  });

  it("limit egress to what their rules allow and to the resolver", async () => {
    const quiet = await world.group("quiet");
    await world.onlyEgress(quiet, {
      IpProtocol: "tcp",
      FromPort: 8000,
      ToPort: 8000,
      IpRanges: [{ CidrIp: `${b()}/32` }],
    });
    await world.allow(quiet, {
      IpProtocol: "tcp",
      FromPort: 22,
      ToPort: 22,
      IpRanges: [{ CidrIp: `${world.gateway}/32` }],
    });
    await world.ec2.send(new ModifyInstanceAttributeCommand({ InstanceId: ids[OTHER], Groups: [quiet] }));
    await within(() => world.opens(OTHER, b(), 22), false);
    expect(await world.opens(OTHER, b(), 8000)).toBe(true);
    expect(await world.opens(OTHER, world.gateway, 8080)).toBe(false);
    expect((await world.run(OTHER, "getent hosts $(hostname).ap-southeast-1.compute.internal")).exitCode).toBe(0);
  });

  it("cut off a partitioned machine, established connections included", async () => {
    const docker = await world.docker();
    const faults = new Faults(world.cloud, docker);
    const a = async (): Promise<Machine> => findMachine(await listMachines(world.cloud, docker), "a", undefined);
    const heard = async (): Promise<number> => Number((await world.run(B, "stat -c %s /run/heard")).stdout);
    await world.allow(peers, {
      IpProtocol: "tcp",
      FromPort: 9000,
      ToPort: 9000,
      UserIdGroupPairs: [{ GroupId: peers }],
    });
    await world.settled();
    await world.run(B, "sudo systemd-run --quiet --unit listen sh -c 'exec nc -l 9000 >/run/heard'");
    await world.run(
      A,
      `sudo systemd-run --quiet --unit talk sh -c '(while echo x; do sleep 0.1; done) | nc ${b()} 9000'`,
    );
    await eventually(async () => (await heard()) > 10 || undefined, "the connection to carry data");

    await faults.partition(await a());
    expect(await world.opens(A, b(), 8000)).toBe(false);
    expect(await world.opens(B, world.address(A), 8000)).toBe(false);
    const silence = await heard();
    await new Promise((done) => setTimeout(done, 1_500));
    expect(await heard()).toBe(silence);

    await faults.heal(await a());
    expect(await world.opens(A, b(), 8000)).toBe(true);
  });
});

describe("routes", () => {
  const inner = "10.200.5.9";

  it("lead to an instance only if its source/destination check is off", async () => {
    const { RouteTables } = await world.ec2.send(new DescribeRouteTablesCommand({}));
    const table = RouteTables!.find(({ VpcId }) => VpcId === world.vpcId)!.RouteTableId!;
    const route = { RouteTableId: table, DestinationCidrBlock: "10.200.5.0/24", InstanceId: ids[B] };
    await world.ec2.send(new CreateRouteCommand(route));
    await world.run(
      B,
      `sudo ip link add inner type bridge && sudo ip addr add ${inner}/24 dev inner && sudo ip link set inner up`,
    );
    await world.settled();
    expect(await world.opens(A, inner, 8000)).toBe(false);
    const check = (on: boolean): Promise<unknown> =>
      world.ec2.send(new ModifyInstanceAttributeCommand({ InstanceId: ids[B], SourceDestCheck: { Value: on } }));
    await check(false);
    await within(() => world.opens(A, inner, 8000), true);
    await check(true);
    await within(() => world.opens(A, inner, 8000), false);
  });

  it("let an instance send from another source address only if its check is off", async () => {
    const both = { InstanceId: ids[B], SourceDestCheck: { Value: true } };
    await world.ec2.send(new ModifyInstanceAttributeCommand(both));
    const asInner = async (): Promise<boolean> =>
      (await world.run(B, `nc -z -w 1 -s ${inner} ${world.address(A)} 8000`)).exitCode === 0;
    await world.allow(peers, {
      IpProtocol: "tcp",
      FromPort: 8000,
      ToPort: 8000,
      IpRanges: [{ CidrIp: "10.200.0.0/16" }],
    });
    await within(asInner, false);
    await world.ec2.send(new ModifyInstanceAttributeCommand({ InstanceId: ids[B], SourceDestCheck: { Value: false } }));
    await within(asInner, true);
  });

  it("belong to one VPC, which cannot reach another", async () => {
    const second = await second10_79();
    await second.reachable(A);
    expect((await second.run(A, "true")).exitCode).toBe(0);
    await second.allow(second.ssh, { IpProtocol: "-1", IpRanges: [{ CidrIp: "0.0.0.0/0" }] });
    await second.settled();
    expect(await world.opens(A, second.address(A), 22)).toBe(false);
    expect(await second.opens(A, inner, 8000)).toBe(false);
    expect(await second.opens(A, second.gateway, 8080)).toBe(true);
    expect(await second.opens(A, world.gateway, 8080)).toBe(false);
    expect(await world.opens(A, inner, 8000)).toBe(true);
  });
});

/** A second VPC in the same cloud, with one machine. */
async function second10_79(): Promise<World> {
  const second = await World.up(world.cloud.name, world.cloud.port, "10.79.0.0/16");
  await second.launch(A);
  return second;
}

describe("the services of a VPC", () => {
  it("resolve private names, refuse or forward others, and never loop", async () => {
    const name = `ip-${world.address(B).replaceAll(".", "-")}.ap-southeast-1.compute.internal`;
    expect((await world.run(A, `getent hosts ${name}`)).stdout).toContain(world.address(B));
    expect((await world.run(A, `dig +short -x ${world.address(B)}`)).stdout).toBe(`${name}.`);
    expect((await world.run(A, "dig nothing.ap-southeast-1.compute.internal")).stdout).toContain("NXDOMAIN");
    const { stdout } = await world.run(A, "dig +tries=1 +time=5 example.org");
    expect(stdout).toMatch(/status: (NOERROR|REFUSED|SERVFAIL|NXDOMAIN)/);
  });

  it("serve the files of a host directory, ranges included", async () => {
    const url = `http://${world.gateway}:8080/example.org/v1/file`;
    expect((await world.run(A, `curl -fsS ${url}`)).stdout).toBe("0123456789");
    expect((await world.run(A, `curl -fsS -r 2-4 ${url}`)).stdout).toBe("234");
    expect((await world.run(A, `curl -fsSI ${url} | grep -i content-length`)).stdout).toContain("10");
    expect((await world.run(A, `curl -s -o /dev/null -w '%{http_code}' ${url}-not-there`)).stdout).toBe("404");
  });
});
