/**
 * The key material of a cluster as one table: each item, its key, and how it is made. The PKI component creates it with
 * Pulumi, the by-hand transcript with openssl, and steps request it by key. An unknown key is a compile error.
 */
import { authorities, type Authority, type Leaf, type LeafName, leaves, signingAuthority } from "./certificates";
import type { MachineName, NodeName } from "./shape";
import type { ClusterSpec } from "./spec";

/** A certificate (PEM) with its private key. */
export type PairName = LeafName | typeof signingAuthority.name;

type Component = Administrator | "kube-controller-manager" | "kube-scheduler" | "kube-proxy";
/** Who a step acts as: the everyday administrator, or the one that needs no role. */
export type Administrator = "admin" | "super-admin";
export type KubeconfigKey = `kubeconfig/${Component | `kubelet/${NodeName}`}`;

/** A text that a machine gets. Everything except the certificates is secret; they are treated the same way. */
export type MaterialKey =
  | `${Authority}/cert`
  | `${PairName}/${"cert" | "key"}`
  | `service-account/${"key" | "public"}`
  | "client-ca-bundle"
  | "encryption-key"
  | KubeconfigKey;

/**
 * What is known only once the machines exist: a machine's instance id or zone, the instance ids of all nodes, or the public
 * SSH keys that machines accept.
 */
export type FactKey = `instance/${MachineName}/${"id" | "zone"}` | "instances" | "authorized-keys";

/** A root CA. Its key is only used for signing and never reaches a machine. */
interface AuthorityMaterial {
  readonly kind: "authority";
  readonly name: Authority;
}
/** The intermediate CA, with its key. */
interface SigningMaterial {
  readonly kind: "signing-authority";
}
interface LeafMaterial {
  readonly kind: "leaf";
  readonly leaf: Leaf;
}
/** A key pair without a certificate, which signs service-account tokens. */
interface KeyPairMaterial {
  readonly kind: "key-pair";
  readonly name: "service-account";
}
/** Several certificates in one file. */
interface BundleMaterial {
  readonly kind: "bundle";
  readonly key: "client-ca-bundle";
  readonly of: readonly MaterialKey[];
}
interface EncryptionMaterial {
  readonly kind: "encryption-key";
  readonly key: "encryption-key";
}
export interface KubeconfigMaterial {
  readonly kind: "kubeconfig";
  readonly key: KubeconfigKey;
  /** Name of the user entry. */
  readonly user: string;
  /** The leaf that is embedded in it. */
  readonly pair: LeafName;
  /** URL of the API server. */
  readonly server: string;
}

export type Material =
  | AuthorityMaterial
  | SigningMaterial
  | LeafMaterial
  | KeyPairMaterial
  | BundleMaterial
  | EncryptionMaterial
  | KubeconfigMaterial;

/** Every kubeconfig that a machine gets. Control-plane components use their own API server, all others spec.apiName. */
function kubeconfigs(spec: ClusterSpec): KubeconfigMaterial[] {
  const local = "https://127.0.0.1:6443";
  const api = `https://${spec.apiName}:6443`;
  const of = (component: Component, server: string, user: string = component): KubeconfigMaterial => ({
    kind: "kubeconfig",
    key: `kubeconfig/${component}`,
    user,
    pair: component,
    server,
  });
  return [
    of("admin", local, "kubernetes-admin"),
    of("super-admin", local, "kubernetes-super-admin"),
    of("kube-controller-manager", local),
    of("kube-scheduler", local),
    of("kube-proxy", api),
    ...spec.nodes.map(({ name }): KubeconfigMaterial => ({
      kind: "kubeconfig",
      key: `kubeconfig/kubelet/${name}`,
      user: name,
      pair: `kubelet/${name}`,
      server: api,
    })),
  ];
}

/** The whole table, in an order in which it can be created: signers come before what they sign. */
export const materials = (spec: ClusterSpec): readonly Material[] => [
  ...authorities.map((name): AuthorityMaterial => ({ kind: "authority", name })),
  { kind: "signing-authority" },
  ...leaves(spec).map((leaf): LeafMaterial => ({ kind: "leaf", leaf })),
  { kind: "bundle", key: "client-ca-bundle", of: ["kubernetes-ca/cert", `${signingAuthority.name}/cert`] },
  { kind: "key-pair", name: "service-account" },
  { kind: "encryption-key", key: "encryption-key" },
  ...kubeconfigs(spec),
];
