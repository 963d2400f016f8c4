/** The kinds of object that the labs handle: where the API serves each, and its shape on the wire. */
import type {
  CoreV1Event,
  V1CertificateSigningRequest,
  V1ClusterRoleBinding,
  V1ConfigMap,
  V1ControllerRevision,
  V1CronJob,
  V1DaemonSet,
  V1Deployment,
  V1EndpointSlice,
  V1Job,
  V1Lease,
  V1LimitRange,
  V1Namespace,
  V1Node,
  V1ObjectMeta,
  V1PersistentVolume,
  V1PersistentVolumeClaim,
  V1Pod,
  V1PriorityClass,
  V1ReplicaSet,
  V1ResourceQuota,
  V1Role,
  V1RoleBinding,
  V1Secret,
  V1Service,
  V1ServiceAccount,
  V1StatefulSet,
} from "@kubernetes/client-node";

/** Kinds by name, as the client's typings describe them. */
export interface Kinds {
  CertificateSigningRequest: V1CertificateSigningRequest;
  ClusterRoleBinding: V1ClusterRoleBinding;
  ConfigMap: V1ConfigMap;
  ControllerRevision: V1ControllerRevision;
  CronJob: V1CronJob;
  DaemonSet: V1DaemonSet;
  Deployment: V1Deployment;
  EndpointSlice: V1EndpointSlice;
  Event: CoreV1Event;
  Job: V1Job;
  Lease: V1Lease;
  LimitRange: V1LimitRange;
  Namespace: V1Namespace;
  Node: V1Node;
  PersistentVolume: V1PersistentVolume;
  PersistentVolumeClaim: V1PersistentVolumeClaim;
  Pod: V1Pod;
  PriorityClass: V1PriorityClass;
  ReplicaSet: V1ReplicaSet;
  ResourceQuota: V1ResourceQuota;
  Role: V1Role;
  RoleBinding: V1RoleBinding;
  Secret: V1Secret;
  Service: V1Service;
  ServiceAccount: V1ServiceAccount;
  StatefulSet: V1StatefulSet;
}
export type Kind = keyof Kinds;

/** A typing of the client as JSON carries it: dates are strings. */
export type Wire<T> = T extends Date
  ? string
  : T extends readonly (infer U)[]
    ? Wire<U>[]
    : T extends object
      ? { [K in keyof T]: Wire<T[K]> }
      : T;

/** Metadata that every stored object has. */
export type StoredMeta = Wire<V1ObjectMeta> & {
  name: string;
  namespace: string;
  uid: string;
  resourceVersion: string;
  creationTimestamp: string;
};
type Present<T, K extends string> = T extends { [P in K]?: infer V } ? { [P in K]: Wire<NonNullable<V>> } : unknown;

/** An object as the API returned it: metadata is there, and so are spec and status where the kind has them. */
export type Stored<K extends Kind> = Wire<Kinds[K]> & { metadata: StoredMeta } & Present<Kinds[K], "spec"> &
  Present<Kinds[K], "status">;

interface Place {
  /** Group and version, such as apps/v1. */
  readonly apiVersion: string;
  readonly plural: string;
  readonly namespaced: boolean;
}

const namespaced = (apiVersion: string, plural: string): Place => ({ apiVersion, plural, namespaced: true });
const clusterWide = (apiVersion: string, plural: string): Place => ({ apiVersion, plural, namespaced: false });

export const kinds: Readonly<Record<Kind, Place>> = {
  CertificateSigningRequest: clusterWide("certificates.k8s.io/v1", "certificatesigningrequests"),
  ClusterRoleBinding: clusterWide("rbac.authorization.k8s.io/v1", "clusterrolebindings"),
  ConfigMap: namespaced("v1", "configmaps"),
  ControllerRevision: namespaced("apps/v1", "controllerrevisions"),
  CronJob: namespaced("batch/v1", "cronjobs"),
  DaemonSet: namespaced("apps/v1", "daemonsets"),
  Deployment: namespaced("apps/v1", "deployments"),
  EndpointSlice: namespaced("discovery.k8s.io/v1", "endpointslices"),
  Event: namespaced("v1", "events"),
  Job: namespaced("batch/v1", "jobs"),
  Lease: namespaced("coordination.k8s.io/v1", "leases"),
  LimitRange: namespaced("v1", "limitranges"),
  Namespace: clusterWide("v1", "namespaces"),
  Node: clusterWide("v1", "nodes"),
  PersistentVolume: clusterWide("v1", "persistentvolumes"),
  PersistentVolumeClaim: namespaced("v1", "persistentvolumeclaims"),
  Pod: namespaced("v1", "pods"),
  PriorityClass: clusterWide("scheduling.k8s.io/v1", "priorityclasses"),
  ReplicaSet: namespaced("apps/v1", "replicasets"),
  ResourceQuota: namespaced("v1", "resourcequotas"),
  Role: namespaced("rbac.authorization.k8s.io/v1", "roles"),
  RoleBinding: namespaced("rbac.authorization.k8s.io/v1", "rolebindings"),
  Secret: namespaced("v1", "secrets"),
  Service: namespaced("v1", "services"),
  ServiceAccount: namespaced("v1", "serviceaccounts"),
  StatefulSet: namespaced("apps/v1", "statefulsets"),
};

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
  metadata: Partial<Wire<V1ObjectMeta>> & { name?: string; generateName?: string };
  [field: string]: unknown;
}
