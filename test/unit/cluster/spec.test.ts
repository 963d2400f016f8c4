/** Properties of the specification: addresses, certificates, traffic. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { address, cidr, contains, formatCidr, nthSubnet, overlap, parseCidr } from "../../../cluster/cidr";
import { architecture, capacity, tooSmall } from "../../../cluster/instance-types";
import { leaves } from "../../../cluster/certificates";
import { trafficRules } from "../../../cluster/traffic";
import { spec } from "../../support/spec";

/** Configurations of every allowed shape. */
const shapes = fc
  .record({
    shape: fc.constantFrom(
      { zones: 1, controlPlaneCount: 1 },
      { zones: 3, controlPlaneCount: 1 },
      { zones: 3, controlPlaneCount: 1, apiEndpoint: "nlb" },
      { zones: 3, controlPlaneCount: 3 },
      { zones: 1, controlPlaneCount: 3, apiEndpoint: "haproxy" },
      { zones: 3, controlPlaneCount: 3, apiEndpoint: "haproxy" },
    ),
    workerCount: fc.integer({ min: 1, max: 233 }),
    second: fc.integer({ min: 0, max: 31 }),
    vpcPrefix: fc.integer({ min: 16, max: 22 }),
  })
  .map(({ shape, workerCount, second, vpcPrefix }) => ({
    ...shape,
    workerCount,
    vpcCidr: formatCidr(nthSubnet(cidr("10.0.0.0/11"), vpcPrefix, second)),
  }));

const unique = (values: readonly unknown[]) => new Set(values).size === values.length;

describe("the cluster's addresses", () => {
  it("are unique, and inside the subnet of their zone", () =>
    fc.assert(
      fc.property(shapes, (values) => {
        const cluster = spec(values);
        const all = [...cluster.machines.map((machine) => machine.privateIp)];
        expect(unique(all)).toBe(true);
        if (!cluster.balancer) expect(unique([...all, ...cluster.loadBalancerAddresses])).toBe(true);
        for (const machine of cluster.machines) {
          const subnet = cidr(cluster.subnetCidrs[machine.zone] as string);
          expect(contains(subnet, address(machine.privateIp) as never)).toBe(true);
        }
        for (const subnet of cluster.subnetCidrs) expect(contains(cidr(cluster.vpcCidr), cidr(subnet))).toBe(true);
      }),
    ));

  it("give every node its own slice of the pod network", () =>
    fc.assert(
      fc.property(shapes, (values) => {
        const cluster = spec(values);
        const slices = [...cluster.controllers, ...cluster.workers].map((node) => cidr(node.podCidr as string));
        expect(unique(slices.map(formatCidr))).toBe(true);
        for (const slice of slices) expect(contains(cidr(cluster.podCidr), slice)).toBe(true);
      }),
    ));

  it("do not move when workers or control-plane nodes are added", () =>
    fc.assert(
      fc.property(shapes, (values) => {
        const smaller = spec({ ...values, workerCount: Math.max(1, values.workerCount - 1) });
        const larger = spec(values);
        for (const machine of smaller.machines) expect(larger.machines).toContainEqual(machine);
      }),
    ));

  it("are in the API server's certificate from the start, whatever shape the cluster has later", () => {
    const one = spec({ zones: 3, apiEndpoint: "nlb" });
    const three = spec({ zones: 3, controlPlaneCount: 3 });
    expect(one.apiServerSans).toEqual(three.apiServerSans);
    for (const { name, privateIp } of three.controllers) {
      expect(one.apiServerSans.ip).toContain(privateIp);
      expect(one.apiServerSans.dns).toContain(name);
    }
    expect(spec({ controlPlaneCount: 3, apiEndpoint: "haproxy" }).apiServerSans).toEqual(one.apiServerSans);
  });

  it("are those of the series", () => {
    const series = spec({ controlPlaneCount: 3, apiEndpoint: "haproxy" });
    const at = Object.fromEntries(series.machines.map(({ name, privateIp, podCidr }) => [name, [privateIp, podCidr]]));
    expect(at).toEqual({
      balancer: ["10.0.1.10", undefined],
      "controller-0": ["10.0.1.11", "10.200.255.0/24"],
      "controller-1": ["10.0.1.12", "10.200.254.0/24"],
      "controller-2": ["10.0.1.13", "10.200.253.0/24"],
      "worker-0": ["10.0.1.21", "10.200.0.0/24"],
      "worker-1": ["10.0.1.22", "10.200.1.0/24"],
    });
    expect(series.apiAddresses).toEqual(["10.0.1.10"]);
    expect(spec({ controlPlaneCount: 3, zones: 3 }).apiAddresses).toEqual(["10.0.1.11", "10.0.2.12", "10.0.3.13"]);
  });
});

describe("the cluster's certificates", () => {
  it("match the snapshot", () => expect(leaves(spec({ controlPlaneCount: 3, zones: 3 }))).toMatchSnapshot());
  it("have unique names", () =>
    fc.assert(fc.property(shapes, (values) => unique(leaves(spec(values)).map((leaf) => leaf.name)))));
});

describe("the cluster's traffic", () => {
  it.each<[string, Record<string, unknown>]>([
    ["with an Elastic IP", { openNodePorts: true }],
    ["with a load balancer", { controlPlaneCount: 3, zones: 3 }],
    ["with nothing but downloads from outside", { egress: "downloads" }],
    [
      "with HAProxy and mirrors",
      {
        controlPlaneCount: 3,
        apiEndpoint: "haproxy",
        mirror: "http://10.0.0.1:8080",
        registryMirror: "https://mirror.example.org:5000",
      },
    ],
  ])("%s matches the snapshot", (_, values) =>
    expect(
      trafficRules(spec(values)).map(({ group, direction, peer, protocol = "all", ports, name }) => {
        const other = "group" in peer ? peer.group : peer.cidr;
        const [from, to] = direction === "ingress" ? [other, group] : [group, other];
        return `${direction} ${from} -> ${to} ${[protocol, ...(ports ? [ports.join("-")] : [])].join(" ")} (${name})`;
      }),
    ).toMatchSnapshot(),
  );

  it("is open from node to node, but for SSH and, from workers, etcd", () =>
    fc.assert(
      fc.property(
        shapes,
        fc.constantFrom("control-plane", "worker"),
        fc.constantFrom("control-plane", "worker"),
        fc.oneof(fc.constantFrom(21, 22, 23, 2378, 2379, 2380, 2381, 6443, 10250), fc.integer({ min: 1, max: 65535 })),
        (values, from, to, port) => {
          const admits = (protocol: string) =>
            trafficRules(spec(values)).some(
              (rule) =>
                rule.group === to &&
                rule.direction === "ingress" &&
                "group" in rule.peer &&
                rule.peer.group === from &&
                rule.protocol === protocol &&
                (rule.ports === undefined || (rule.ports[0] <= port && port <= rule.ports[1])),
            );
          const isEtcd = port === 2379 || port === 2380;
          expect(admits("tcp")).toBe(port !== 22 && !(isEtcd && from === "worker" && to === "control-plane"));
          for (const protocol of ["udp", "sctp", "icmp"]) expect(admits(protocol)).toBe(true);
        },
      ),
    ));

  it("is not open to the whole world, and no two rules have the same name or content", () =>
    fc.assert(
      fc.property(shapes, (values) => {
        const all = trafficRules(spec(values));
        const id = ({ group, direction, name }: (typeof all)[number]) => `${group} ${direction} ${name}`;
        const matter = ({ name: _, ...rest }: (typeof all)[number]) => JSON.stringify(rest);
        expect(unique(all.map(id))).toBe(true);
        expect(unique(all.map(matter))).toBe(true);
        for (const { direction, peer } of all)
          if (direction === "ingress" && "cidr" in peer) expect(cidr(peer.cidr).prefix).toBeGreaterThanOrEqual(8);
      }),
    ));
});

describe("networks", () => {
  const networks = fc
    .record({ base: fc.integer({ min: 0, max: 2 ** 32 - 1 }), prefix: fc.integer({ min: 0, max: 32 }) })
    .map(({ base, prefix }) => ({ base: base - (base % 2 ** (32 - prefix)), prefix }));
  it("are read as they are written", () =>
    fc.assert(
      fc.property(networks, (network) => {
        expect(parseCidr(formatCidr(network))).toEqual(network);
      }),
    ));
  it("overlap exactly when one contains the other", () =>
    fc.assert(fc.property(networks, networks, (a, b) => overlap(a, b) === (contains(a, b) || contains(b, a)))));
});

describe("instance types", () => {
  it.each([
    ["t3.medium", "amd64"],
    ["t4g.medium", "arm64"],
    ["m7gd.large", "arm64"],
    ["g4dn.xlarge", "amd64"],
    ["g5g.xlarge", "arm64"],
    ["a1.large", "arm64"],
    ["m5zn.metal", "amd64"],
    ["im4gn.large", "arm64"],
    ["mac2.metal", undefined],
    ["medium", undefined],
  ])("%s is %s", (type, expected) => expect(architecture(type)).toBe(expected));
  it.each([
    ["t3.small", false],
    ["t3.micro", true],
    ["t2.small", true],
    ["t2.medium", false],
    ["c6g.medium", true],
    ["m5.large", false],
    ["m3.medium", true],
  ])("%s is too small: %s", (type, expected) => expect(tooSmall(type)).toBe(expected));
  it.each([
    ["t3.medium", 2, 4],
    ["t3.2xlarge", 8, 32],
    ["m5.large", 2, 8],
    ["c7g.xlarge", 4, 8],
    ["r6i.2xlarge", 8, 64],
  ])("%s has %d CPUs and %d GiB", (type, cpu, memory) =>
    expect(capacity(type)).toEqual({ cpu, memoryMiB: memory * 1024 }),
  );
});
