/**
 * The traffic that the cluster needs, as data: the rules of its security groups. Nodes trust nodes: any port of any node
 * is open to every other node, but for SSH and, to workers, etcd. Pod addresses do not belong to a group, so pods are
 * identified by podCidr; because a group sees no difference between a pod behind a node and the node itself, pods may
 * reach everything there, and the step pod-network closes on the nodes what pods must not reach. A node reaches the pods of
 * other nodes from its own address in the pod network, which that step sets up as well.
 * @see https://kubernetes.io/docs/reference/networking/ports-and-protocols/
 */
import { address, cidr, contains, formatCidr } from "./cidr";
import { nodePortRange } from "./shape";
import type { ClusterSpec } from "./spec";

export type Group = "control-plane" | "worker" | "balancer" | "load-balancer";

type Protocol = "tcp" | "udp" | "sctp" | "icmp";

export interface TrafficRule {
  readonly group: Group;
  readonly direction: "ingress" | "egress";
  /** The other side: a group, or a network. */
  readonly peer: { readonly group: Group } | { readonly cidr: string };
  /** All traffic if undefined. */
  readonly protocol?: Protocol;
  /** Of TCP and UDP; every port if undefined. EC2 cannot restrict the ports of SCTP. */
  readonly ports?: Ports;
  /** Name of the rule: unique in its group and direction, and its description on AWS. */
  readonly name: string;
}

/** First and last port. */
export type Ports = readonly [number, number];

const world = "0.0.0.0/0";
const every: Ports = [0, 65535];
const ssh: Ports = [22, 22];
const api: Ports = [6443, 6443];
/** Of clients and of peers. */
const etcd: Ports = [2379, 2380];

/** The security groups of a cluster of this shape. */
export function groups(spec: ClusterSpec): readonly Group[] {
  const ofEndpoint = { "elastic-ip": [], haproxy: ["balancer"], nlb: ["load-balancer"] } as const;
  return ["control-plane", "worker", ...ofEndpoint[spec.apiEndpoint]];
}

/** What is left of all ports. @param closed in ascending order, and not adjacent */
function allBut(...closed: readonly Ports[]): Ports[] {
  const starts = [0, ...closed.map(([, last]) => last + 1)];
  const ends = [...closed.map(([first]) => first - 1), 65535];
  return starts.map((start, index): Ports => [start, ends[index] as number]);
}

/** Every rule of every group. */
export function trafficRules(spec: ClusterSpec): readonly TrafficRule[] {
  const front = groups(spec).filter((group) => group === "balancer" || group === "load-balancer");
  const machines = groups(spec).filter((group) => group !== "load-balancer");
  const nodes = ["control-plane", "worker"] as const;
  const admin = { cidr: spec.adminCidr };
  const pods = { cidr: spec.podCidr };
  const rule =
    (direction: TrafficRule["direction"]) =>
    (group: Group, name: string, peer: TrafficRule["peer"], protocol?: Protocol, ports?: Ports): TrafficRule => ({
      group,
      direction,
      name,
      peer,
      protocol,
      ports,
    });
  const [into, outOf] = [rule("ingress"), rule("egress")];

  /** TCP but for what only some may reach, and all of UDP, SCTP and ICMP. */
  const nodesTrust = (group: (typeof nodes)[number]) =>
    nodes.flatMap((from) => [
      ...allBut(ssh, ...(from === "worker" && group === "control-plane" ? [etcd] : [])).map((ports) =>
        into(group, `tcp-${ports.join("-")}-from-${from}`, { group: from }, "tcp", ports),
      ),
      into(group, `udp-from-${from}`, { group: from }, "udp", every),
      into(group, `sctp-from-${from}`, { group: from }, "sctp"),
      into(group, `icmp-from-${from}`, { group: from }, "icmp"),
    ]);

  return [
    ...machines.map((group) => into(group, "ssh-from-admin", admin, "tcp", ssh)),

    ...nodes.flatMap((group) => [
      ...nodesTrust(group),
      into(group, "pods", pods),
      ...(spec.openNodePorts
        ? [
            into(group, "node-ports-from-admin", admin, "tcp", nodePortRange),
            into(group, "udp-node-ports-from-admin", admin, "udp", nodePortRange),
            into(group, "sctp-from-admin", admin, "sctp"),
          ]
        : []),
    ]),
    into("control-plane", "api-from-admin", admin, "tcp", api),
    ...front.flatMap((group) => [
      into("control-plane", `api-from-${group}`, { group }, "tcp", api),
      into(group, "api-from-admin", admin, "tcp", api),
      outOf(group, "api-to-control-plane", { group: "control-plane" }, "tcp", api),
    ]),
    // Nodes reach the API through HAProxy, but bypass a network load balancer, which takes minutes to come up.
    ...(spec.balancer
      ? [
          into("balancer", "api-from-control-plane", { group: "control-plane" }, "tcp", api),
          into("balancer", "api-from-workers", { group: "worker" }, "tcp", api),
        ]
      : []),

    // Egress: inside the cluster, the receiver decides.
    ...nodes.flatMap((group) =>
      spec.egress === "anywhere"
        ? [outOf(group, "anywhere", { cidr: world })]
        : [outOf(group, "vpc", { cidr: spec.vpcCidr }), outOf(group, "pods", pods)],
    ),
    ...machines
      .filter((group) => group === "balancer" || spec.egress === "downloads")
      .flatMap((group) =>
        downloads(spec, group).map(({ cidr, port }) =>
          outOf(group, `download-${port}-${cidr}`, { cidr }, "tcp", [port, port]),
        ),
      ),
  ];
}

/**
 * The sources of release files, packages and images: HTTPS anywhere, HTTP for the Debian archive, and mirrors. Mirrors do
 * not have Debian packages, some of which an image may lack.
 */
function downloads(spec: ClusterSpec, group: Group): { cidr: string; port: number }[] {
  const sources = [
    { cidr: world, port: 443 },
    { cidr: world, port: 80 },
    // HAProxy is a Debian package, and its machine downloads nothing else.
    ...(group === "balancer" ? [] : [spec.mirror, spec.registryMirror].filter((url) => url !== undefined).map(source)),
  ];
  const unique = [...new Map(sources.map((each) => [`${each.cidr} ${each.port}`, each])).values()];
  const alreadyOpen = (network: string) => group !== "balancer" && contains(cidr(spec.vpcCidr), cidr(network));
  return unique.filter((each) => !alreadyOpen(each.cidr));
}

/** A mirror's network and port. A host name may resolve to any address. */
function source(url: string): { cidr: string; port: number } {
  const { hostname, port, protocol } = new URL(url);
  const host = address(hostname);
  return { cidr: host ? formatCidr(host) : world, port: Number(port || (protocol === "https:" ? 443 : 80)) };
}
