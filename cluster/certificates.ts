/**
 * Every certificate of the cluster, as data: whose it is, what it may be used for, and which CA signs it.
 * @see https://kubernetes.io/docs/setup/best-practices/certificates/
 */
import type { Controller, ControllerName, Node, NodeName } from "./shape";
import type { ClusterSpec } from "./spec";

/** The root CAs. Their keys never reach a machine. */
export const authorities = ["kubernetes-ca", "etcd-ca", "front-proxy-ca"] as const;
export type Authority = (typeof authorities)[number];

/** The intermediate CA that signs certificate requests, so that the controller manager does not need the root's key. */
export const signingAuthority = {
  name: "cluster-signing",
  commonName: "kubernetes-cluster-signing",
  issuer: "kubernetes-ca",
} as const;

/** Group of the everyday administrators, which RBAC binds to cluster-admin. */
export const administrators = "kubernetes-from-scratch:administrators";

/** Names of the leaves that are shared by all machines. */
type SharedLeaf =
  | "kube-apiserver"
  | "apiserver-kubelet-client"
  | "kube-controller-manager"
  | "kube-scheduler"
  | "kube-proxy"
  | "admin"
  | "super-admin"
  | "apiserver-etcd-client"
  | "front-proxy-client";

/** Name of a leaf. A machine's own leaf includes the machine's name, such as etcd/controller-0 or kubelet/worker-1. */
export type LeafName = SharedLeaf | `etcd/${ControllerName}` | `kubelet/${NodeName}`;

/** A leaf: one key pair and its certificate. */
export interface Leaf {
  readonly name: LeafName;
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

/** Leaves that are shared by the whole cluster, because nothing in them differs between machines. */
function sharedLeaves(spec: ClusterSpec): readonly Leaf[] {
  const ofKubernetes = (name: SharedLeaf, commonName: string, organization?: string): Leaf => ({
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
    // Bound to system:kubelet-api-admin by RBAC, not a member of system:masters.
    ofKubernetes("apiserver-kubelet-client", "kube-apiserver-kubelet-client"),
    ofKubernetes("kube-controller-manager", "system:kube-controller-manager"),
    ofKubernetes("kube-scheduler", "system:kube-scheduler"),
    ofKubernetes("kube-proxy", "system:kube-proxy", "system:node-proxier"),
    ofKubernetes("admin", "kubernetes-admin", administrators),
    // Whatever RBAC says, and as long as the certificate lasts: for the steps before there are roles, and for emergencies.
    ofKubernetes("super-admin", "kubernetes-super-admin", "system:masters"),
    { name: "apiserver-etcd-client", authority: "etcd-ca", commonName: "kube-apiserver-etcd-client", uses: [client] },
    { name: "front-proxy-client", authority: "front-proxy-ca", commonName: "front-proxy-client", uses: [client] },
  ];
}

/** An etcd member's leaf, for its clients and its peers. */
const etcdLeaf = ({ name, index, privateIp }: Controller): Leaf => ({
  name: `etcd/${name}`,
  authority: "etcd-ca",
  commonName: `etcd-${index}`,
  uses: [server, client],
  dnsNames: [name, "localhost"],
  ipAddresses: [privateIp, "127.0.0.1"],
});

/** A kubelet's leaf. It must contain the address that the API server dials, or `kubectl logs` and `exec` fail. */
const kubeletLeaf = ({ name, privateIp }: Node, region: string): Leaf => ({
  name: `kubelet/${name}`,
  authority: "kubernetes-ca",
  commonName: `system:node:${name}`,
  organization: "system:nodes",
  uses: [server, client],
  dnsNames: [name, `ip-${privateIp.replaceAll(".", "-")}.${region}.compute.internal`],
  ipAddresses: [privateIp],
});

export const leaves = (spec: ClusterSpec): readonly Leaf[] => [
  ...sharedLeaves(spec),
  ...spec.controllers.flatMap((machine) => [etcdLeaf(machine), kubeletLeaf(machine, spec.region)]),
  ...spec.workers.map((machine) => kubeletLeaf(machine, spec.region)),
];
