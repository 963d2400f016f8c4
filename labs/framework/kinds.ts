/** The kinds of object that the labs handle: where the API serves each, and its shape on the wire. */
import type * as k8s from "@kubernetes/client-node";

/** Where the API serves a kind. T is its shape, as the client's typings describe it. */
interface Place<T> {
  /** Group and version, such as apps/v1. */
  readonly apiVersion: string;
  readonly plural: string;
  readonly namespaced: boolean;
  /** For the compiler only; never set. */
  readonly shape?: T;
}

const namespaced = <T>(apiVersion: string, plural: string): Place<T> => ({ apiVersion, plural, namespaced: true });
const clusterWide = <T>(apiVersion: string, plural: string): Place<T> => ({ apiVersion, plural, namespaced: false });

/** Adding a kind takes one line here. */
export const kinds = {
  CertificateSigningRequest: clusterWide<k8s.V1CertificateSigningRequest>(
    "certificates.k8s.io/v1",
    "certificatesigningrequests",
  ),
  ClusterRoleBinding: clusterWide<k8s.V1ClusterRoleBinding>("rbac.authorization.k8s.io/v1", "clusterrolebindings"),
  ConfigMap: namespaced<k8s.V1ConfigMap>("v1", "configmaps"),
  ControllerRevision: namespaced<k8s.V1ControllerRevision>("apps/v1", "controllerrevisions"),
  CronJob: namespaced<k8s.V1CronJob>("batch/v1", "cronjobs"),
  DaemonSet: namespaced<k8s.V1DaemonSet>("apps/v1", "daemonsets"),
  Deployment: namespaced<k8s.V1Deployment>("apps/v1", "deployments"),
  EndpointSlice: namespaced<k8s.V1EndpointSlice>("discovery.k8s.io/v1", "endpointslices"),
  Event: namespaced<k8s.CoreV1Event>("v1", "events"),
  Job: namespaced<k8s.V1Job>("batch/v1", "jobs"),
  Lease: namespaced<k8s.V1Lease>("coordination.k8s.io/v1", "leases"),
  LimitRange: namespaced<k8s.V1LimitRange>("v1", "limitranges"),
  Namespace: clusterWide<k8s.V1Namespace>("v1", "namespaces"),
  Node: clusterWide<k8s.V1Node>("v1", "nodes"),
  PersistentVolume: clusterWide<k8s.V1PersistentVolume>("v1", "persistentvolumes"),
  PersistentVolumeClaim: namespaced<k8s.V1PersistentVolumeClaim>("v1", "persistentvolumeclaims"),
  Pod: namespaced<k8s.V1Pod>("v1", "pods"),
  PriorityClass: clusterWide<k8s.V1PriorityClass>("scheduling.k8s.io/v1", "priorityclasses"),
  ReplicaSet: namespaced<k8s.V1ReplicaSet>("apps/v1", "replicasets"),
  ResourceQuota: namespaced<k8s.V1ResourceQuota>("v1", "resourcequotas"),
  Role: namespaced<k8s.V1Role>("rbac.authorization.k8s.io/v1", "roles"),
  RoleBinding: namespaced<k8s.V1RoleBinding>("rbac.authorization.k8s.io/v1", "rolebindings"),
  Secret: namespaced<k8s.V1Secret>("v1", "secrets"),
  Service: namespaced<k8s.V1Service>("v1", "services"),
  ServiceAccount: namespaced<k8s.V1ServiceAccount>("v1", "serviceaccounts"),
  StatefulSet: namespaced<k8s.V1StatefulSet>("apps/v1", "statefulsets"),
} as const;
export type Kind = keyof typeof kinds;
type Kinds = { [K in Kind]: NonNullable<(typeof kinds)[K]["shape"]> };

/** One of the client's types as it appears in JSON: dates are strings. */
export type Wire<T> = T extends Date
  ? string
  : T extends readonly (infer U)[]
    ? Wire<U>[]
    : T extends object
      ? { [K in keyof T]: Wire<T[K]> }
      : T;

/** Metadata that every stored object has. */
export type StoredMeta = Wire<k8s.V1ObjectMeta> & {
  name: string;
  namespace: string;
  uid: string;
  resourceVersion: string;
  creationTimestamp: string;
};
type Present<T, K extends string> = T extends { [P in K]?: infer V } ? { [P in K]: Wire<NonNullable<V>> } : unknown;

/** An object as the API returned it: metadata is there, and so are spec and status if the kind has them. */
export type Stored<K extends Kind> = Wire<Kinds[K]> & { metadata: StoredMeta } & Present<Kinds[K], "spec"> &
  Present<Kinds[K], "status">;

/** Path of a collection, or of one object of it, in the API. */
export function pathOf(kind: Kind, namespace?: string, name?: string, subresource?: string): string {
  const place = kinds[kind];
  const root = place.apiVersion.includes("/") ? `/apis/${place.apiVersion}` : `/api/${place.apiVersion}`;
  const scope = place.namespaced && namespace ? `/namespaces/${namespace}` : "";
  return `${root}${scope}/${place.plural}${name ? `/${name}` : ""}${subresource ? `/${subresource}` : ""}`;
}

/** An object to be sent: what a manifest holds. */
export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: Partial<Wire<k8s.V1ObjectMeta>> & { name?: string; generateName?: string };
  [field: string]: unknown;
}
