/**
 * Every certificate of the cluster, as data: who it speaks for, where it may be used, and which CA vouches for it.
 * @see https://kubernetes.io/docs/setup/best-practices/certificates/
 */
import type { ClusterSpec, Machine } from "./spec";

export const authorities = ["kubernetes-ca", "etcd-ca", "front-proxy-ca"] as const;
export type Authority = (typeof authorities)[number];

/** A leaf: one key pair and its certificate. */
export interface Leaf {
  /** Its key in the PKI's material: kube-apiserver, etcd/controller-0. */
  readonly name: string;
  readonly authority: Authority;
  readonly commonName: string;
  readonly organization?: string;
  readonly uses: readonly ("server_auth" | "client_auth")[];
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  /** Whether the cluster's Elastic IP, which is known only once it exists, is among its addresses. */
  readonly namesElasticIp?: boolean;
}

const server = "server_auth" as const;
const client = "client_auth" as const;

/** Leaves that the whole cluster shares: what differs between machines is not in them. */
export function clusterLeaves(spec: ClusterSpec): readonly Leaf[] {
  const ofKubernetes = (name: string, commonName: string, organization?: string): Leaf => ({
    name,
    authority: "kubernetes-ca",
    commonName,
    organization,
    uses: [client],
  });
  return [
    {
      name: "kube-apiserver",
      authority: "kubernetes-ca",
      commonName: "kube-apiserver",
      uses: [server],
      dnsNames: spec.apiServerSans.dns,
      ipAddresses: spec.apiServerSans.ip,
      namesElasticIp: true,
    },
    // Bound to system:kubelet-api-admin by RBAC, not to system:masters.
    ofKubernetes("apiserver-kubelet-client", "kube-apiserver-kubelet-client"),
    ofKubernetes("kube-controller-manager", "system:kube-controller-manager"),
    ofKubernetes("kube-scheduler", "system:kube-scheduler"),
    ofKubernetes("kube-proxy", "system:kube-proxy", "system:node-proxier"),
    ofKubernetes("admin", "kubernetes-admin", "system:masters"),
    { name: "apiserver-etcd-client", authority: "etcd-ca", commonName: "kube-apiserver-etcd-client", uses: [client] },
    { name: "front-proxy-client", authority: "front-proxy-ca", commonName: "front-proxy-client", uses: [client] },
  ];
}

/** Leaves of one machine. A missing name in a kubelet's breaks logs and exec; etcd's serves clients and peers. */
export function machineLeaves(machine: Machine, region: string): readonly Leaf[] {
  const { name, role, privateIp } = machine;
  if (role === "balancer") return [];
  const kubelet: Leaf = {
    name: `kubelet/${name}`,
    authority: "kubernetes-ca",
    commonName: `system:node:${name}`,
    organization: "system:nodes",
    uses: [server, client],
    dnsNames: [name, `ip-${privateIp.replaceAll(".", "-")}.${region}.compute.internal`],
    ipAddresses: [privateIp],
  };
  const etcd: Leaf = {
    name: `etcd/${name}`,
    authority: "etcd-ca",
    commonName: `etcd-${machine.index}`,
    uses: [server, client],
    dnsNames: [name, "localhost"],
    ipAddresses: [privateIp, "127.0.0.1"],
  };
  return role === "control-plane" ? [etcd, kubelet] : [kubelet];
}

export const leaves = (spec: ClusterSpec): readonly Leaf[] => [
  ...clusterLeaves(spec),
  ...spec.machines.flatMap((machine) => machineLeaves(machine, spec.region)),
];
