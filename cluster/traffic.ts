/**
 * The traffic that the cluster needs, as data: the rules of its security groups. Nodes are referred to by group. Pod
 * addresses do not belong to a group, so pod traffic is identified by podCidr, and it may reach any port of a node,
 * because a group cannot tell a pod behind a node from the node itself. A node reaches the pods of other nodes from its
 * own address in the pod network (the step pod-network sets that up), so only the rules below apply between machines.
 * @see https://kubernetes.io/docs/reference/networking/ports-and-protocols/
 */
import { address, cidr, contains, formatCidr } from "./cidr";
import type { ClusterSpec } from "./spec";

export type Group = "control-plane" | "worker" | "balancer" | "load-balancer";

export interface TrafficRule {
  readonly group: Group;
  readonly direction: "ingress" | "egress";
  /** The other side: a group, or a network. */
  readonly peer: { readonly group: Group } | { readonly cidr: string };
  /** All traffic if undefined. */
  readonly port?: number;
  /** Last port of a range; a single port if undefined. */
  readonly toPort?: number;
  /** Name of the rule: unique in its group and direction, and its description on AWS. */
  readonly name: string;
}

const world = "0.0.0.0/0";

/** The security groups of a cluster of this shape. */
export function groups(spec: ClusterSpec): readonly Group[] {
  const ofEndpoint = { "elastic-ip": [], haproxy: ["balancer"], nlb: ["load-balancer"] } as const;
  return ["control-plane", "worker", ...ofEndpoint[spec.apiEndpoint]];
}

/** Every rule of every group. */
export function trafficRules(spec: ClusterSpec): readonly TrafficRule[] {
  const front = groups(spec).filter((group) => group === "balancer" || group === "load-balancer");
  const machines = groups(spec).filter((group) => group !== "load-balancer");
  const admin = { cidr: spec.adminCidr };
  const pods = { cidr: spec.podCidr };
  const into = (
    group: Group,
    name: string,
    peer: TrafficRule["peer"],
    port?: number,
    toPort?: number,
  ): TrafficRule => ({
    group,
    direction: "ingress",
    name,
    peer,
    port,
    toPort,
  });
  const outOf = (group: Group, name: string, peer: TrafficRule["peer"], port?: number): TrafficRule => ({
    group,
    direction: "egress",
    name,
    peer,
    port,
  });

  return [
    ...machines.map((group) => into(group, "ssh-from-admin", admin, 22)),

    into("control-plane", "api-from-admin", admin, 6443),
    into("control-plane", "api-from-workers", { group: "worker" }, 6443),
    into("control-plane", "api-from-control-plane", { group: "control-plane" }, 6443),
    ...front.map((group) => into("control-plane", `api-from-${group}`, { group }, 6443)),
    into("control-plane", "etcd-from-control-plane", { group: "control-plane" }, 2379, 2380),
    into("control-plane", "kubelet-from-control-plane", { group: "control-plane" }, 10250),
    into("control-plane", "kubelet-from-workers", { group: "worker" }, 10250),
    into("control-plane", "pods", pods),

    into("worker", "kubelet-from-control-plane", { group: "control-plane" }, 10250),
    into("worker", "kubelet-from-workers", { group: "worker" }, 10250),
    into("worker", "pods", pods),
    ...(spec.openNodePorts ? [into("worker", "node-ports-from-admin", admin, 30000, 32767)] : []),

    ...front.flatMap((group) => [
      into(group, "api-from-admin", admin, 6443),
      outOf(group, "api-to-control-plane", { group: "control-plane" }, 6443),
    ]),
    // Nodes reach the API through HAProxy, but bypass a network load balancer, which takes minutes to come up.
    ...(spec.balancer
      ? [
          into("balancer", "api-from-control-plane", { group: "control-plane" }, 6443),
          into("balancer", "api-from-workers", { group: "worker" }, 6443),
        ]
      : []),

    // Egress: inside the cluster, the receiver decides; outside, only the bootstrap's download sources are open.
    ...(["control-plane", "worker"] as const).flatMap((group) => [
      outOf(group, "vpc", { cidr: spec.vpcCidr }),
      outOf(group, "pods", pods),
    ]),
    ...machines.flatMap((group) =>
      downloads(spec, group).map((to) => outOf(group, `download-${to.port}-${to.cidr}`, { cidr: to.cidr }, to.port)),
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
