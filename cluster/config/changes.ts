/**
 * What a change of each configuration key does to a cluster that exists, and which changes are refused because they would
 * destroy it. Pure: compares what the last successful update was configured with to what is wanted now.
 */
import type { Config } from ".";
import { address, cidr, contains } from "../cidr";
import { architecture } from "../instance-types";
import type { ClusterSpec } from "../spec";
import type { Fields } from "./fields";

/**
 * - in place: nothing restarts that serves the cluster's users, unless a note says so.
 * - rolled: machines or their components restart one after another, while the others serve.
 * - new clusters only: refused on a cluster that exists.
 */
export const changeClasses = ["in place", "rolled", "new clusters only"] as const;
export type ChangeClass = (typeof changeClasses)[number];

type Key = keyof Fields;

/** Recorded as a digest, because it is a secret. */
const secret = "encryptionKey" satisfies Key;
/** A path means nothing on another computer. */
type RecordedKey = Exclude<Key, "sshPrivateKeyFile">;

/** What an update was configured with; recorded as an output of the stack. Secrets are recorded as digests. */
export type Settings = Readonly<Partial<Record<RecordedKey, unknown>>>;

/** What is known of the cluster that the last update left. */
export interface Former {
  /** Undefined if that update was made before settings were recorded. */
  readonly settings?: Settings | undefined;
  /** Addresses of its nodes. */
  readonly nodes: readonly { readonly name: string; readonly privateIp: string; readonly podCidr?: string }[];
}

interface Change {
  readonly class: ChangeClass;
  /** What the configuration page adds to the class. */
  readonly note?: string;
  /** Why a change of this key is refused; undefined if it is not. Without this function, every change is allowed. */
  readonly refuse?: (before: unknown, after: unknown) => string | undefined;
  /** Whether the owner of the data may insist. Pulumi cannot move a stack to another account or region at all. */
  readonly final?: boolean;
}

const instanceType = (machines: string, note: string): Change => ({
  class: "rolled",
  note: `within its architecture; ${note}`,
  refuse: (before, after) =>
    architecture(String(before)) === architecture(String(after))
      ? undefined
      : `would replace ${machines}, because a machine cannot change its CPU architecture`,
});
const fixed = (why: string): Change => ({ class: "new clusters only", refuse: () => why });
const readdressed = "would replace every machine, because machines keep their addresses for life";
const repodded = "would change the address of every pod, and a node keeps its range for life";
const elsewhere = "is where the cluster's machines and volumes are";

/** Every key, in the order of Pulumi.yaml. */
export const changes: Readonly<Record<Key, Change>> = {
  region: { class: "new clusters only", refuse: () => elsewhere, final: true },
  zones: fixed(readdressed),
  controlPlaneCount: { class: "rolled", note: "members join and leave one at a time" },
  workerCount: { class: "in place", note: "nodes are drained before they leave" },
  controlPlaneInstanceType: instanceType(
    "every control-plane node, and etcd with them",
    "one machine restarts at a time, while the others are healthy; a single one interrupts the API",
  ),
  workerInstanceType: instanceType(
    "every worker",
    "one machine restarts at a time, and is drained before; the pods of a single one wait for it",
  ),
  balancerInstanceType: instanceType("the balancer", "the API is interrupted while it restarts"),
  rootVolumeGiB: {
    class: "in place",
    note: "can only grow; partitions and file systems grow with it, without a restart",
    refuse: (before, after) =>
      Number(after) < Number(before) ? "would replace every machine, because a volume cannot shrink" : undefined,
  },
  sshPrivateKeyFile: { class: "in place" },
  clusterName: fixed("is in the certificates and in the names of the API endpoint"),
  vpcCidr: fixed(readdressed),
  podCidr: fixed(repodded),
  serviceCidr: fixed("would change the address of every Service, and Services keep theirs for life"),
  clusterDns: fixed("is configured in every pod, and a Service keeps its address for life"),
  adminCidr: { class: "in place" },
  adminAccess: { class: "in place" },
  openNodePorts: { class: "in place" },
  egress: { class: "in place" },
  apiEndpoint: { class: "in place", note: "the kubeconfig changes" },
  stage: { class: "in place", note: "what later stages installed keeps running" },
  kubernetesVersion: { class: "rolled" },
  etcdVersion: { class: "rolled" },
  kubeProxyMode: { class: "in place" },
  kubeReserved: { class: "in place" },
  systemReserved: { class: "in place" },
  apiServerArgs: { class: "rolled" },
  apiServerNames: { class: "rolled" },
  jwtAuthenticators: { class: "rolled" },
  controllerManagerArgs: { class: "rolled" },
  schedulerArgs: { class: "rolled" },
  kubeletConfig: { class: "in place", note: "the kubelets restart, and the pods do not" },
  featureGates: { class: "rolled" },
  nodeLabels: { class: "in place" },
  nodeTaints: { class: "in place", note: "`NoExecute` evicts pods" },
  mirror: { class: "in place" },
  registryMirror: { class: "in place" },
  encryptionKey: {
    class: "in place",
    note: "every Secret is rewritten with the new key",
  },
  certificateValidityHours: { class: "rolled", note: "all certificates are renewed except those of CAs" },
  certificateEpoch: { class: "rolled" },
  awsEndpoint: {
    class: "new clusters only",
    note: "the port of the local cloud may change",
    refuse: (before, after) => (isLoopback(before) && isLoopback(after) ? undefined : elsewhere),
    final: true,
  },
};

const isLoopback = (url: unknown): boolean =>
  ["127.0.0.1", "localhost"].includes(URL.parse(String(url))?.hostname ?? "");

/** What an update records about its configuration. @param digest of a secret; it must not reveal it. */
export function settingsOf(config: Config, digest: (secret: string) => string): Settings {
  const recorded = Object.entries(config).filter(([key]) => key in changes);
  // an optional key without a value is recorded as such, because JSON has no undefined
  const plain = Object.fromEntries(recorded.map(([key, value]) => [key, value ?? ""]));
  return { ...plain, [secret]: config[secret] === undefined ? "" : digest(config[secret]) };
}

/** Whether machines may restart because they become larger or smaller. */
export function restartsMachines({ settings }: Former, wanted: Settings): boolean {
  const keys = [
    "controlPlaneInstanceType",
    "workerInstanceType",
    "balancerInstanceType",
  ] as const satisfies readonly Key[];
  return settings === undefined || keys.some((key) => settings[key] !== wanted[key]);
}

/** A change that is refused. */
export interface Refusal {
  readonly key: Key;
  /** The values as text. */
  readonly before: string;
  readonly after: string;
  /** What the change would do, as the end of a sentence. */
  readonly why: string;
  /** Whether nobody can insist on it. */
  readonly final: boolean;
}

const shown = (value: unknown): string =>
  value === "" || value === undefined ? "(unset)" : typeof value === "string" ? value : JSON.stringify(value);

/** Why the cluster cannot become what is wanted; empty if it can. */
export function refusedChanges(former: Former, wanted: Settings, nodes: ClusterSpec["nodes"]): Refusal[] {
  const { settings } = former;
  return settings ? refusedKeys(settings, wanted) : refusedAddresses(former, wanted, nodes);
}

function refusedKeys(before: Settings, wanted: Settings): Refusal[] {
  return (Object.keys(before) as RecordedKey[]).flatMap((key) => {
    const change: Change | undefined = changes[key];
    const [old, next] = [shown(before[key]), shown(wanted[key])];
    // a key that an older release recorded may not exist any more
    if (!change || old === next) return [];
    const why = change.refuse?.(before[key], wanted[key]);
    return why === undefined ? [] : [{ key, before: old, after: next, why, final: change.final ?? false }];
  });
}

/** For a cluster whose settings were not recorded: compares what its nodes show of them. */
function refusedAddresses({ nodes }: Former, wanted: Settings, planned: ClusterSpec["nodes"]): Refusal[] {
  return nodes.flatMap(({ name, privateIp, podCidr }): Refusal[] => {
    const node = planned.find((candidate) => candidate.name === name);
    if (!node) return [];
    const on = (value: string) => `${value} on ${name}`;
    if (privateIp !== node.privateIp) {
      const formerly = address(privateIp);
      const key = formerly && contains(cidr(String(wanted.vpcCidr)), formerly) ? "zones" : "vpcCidr";
      return [{ key, before: on(privateIp), after: on(node.privateIp), why: readdressed, final: false }];
    }
    if (podCidr === undefined || podCidr === node.podCidr) return [];
    return [{ key: "podCidr", before: on(podCidr), after: on(node.podCidr), why: repodded, final: false }];
  });
}

/** Environment variable with which the owner of the data insists on a change that destroys it. */
export const insistence = { name: "LOSE_DATA", value: "yes" } as const;
export const insists = (environment: Readonly<Record<string, string | undefined>>): boolean =>
  environment[insistence.name] === insistence.value;

/** Whether the owner of the data insists on all of these. */
export const areInsistedOn = (refusals: readonly Refusal[], environment: Parameters<typeof insists>[0]): boolean =>
  insists(environment) && refusals.every(({ final }) => !final);

/** The refusals as text for the user. */
export function formatRefusals(refusals: readonly Refusal[], stack: string): string {
  const list = refusals.map(({ key, before, after, why }) => `  ${key}\n    ${before} -> ${after}\n    It ${why}.`);
  const keys = [...new Set(refusals.map(({ key }) => key))].join(" and ");
  const way = refusals.some(({ final }) => final)
    ? `Destroy the cluster first (make down STACK=${stack}, with the former value), or use another stack for the new one.`
    : `If the data may be lost, destroy the cluster and make a new one: make down STACK=${stack}, change ${keys}, make up ` +
      `STACK=${stack}. Or say so, and this update replaces every machine: ` +
      `${insistence.name}=${insistence.value} make up STACK=${stack}`;
  return (
    `The cluster of stack ${stack} exists, and these changes would destroy it; nothing was changed.\n\n${list.join("\n\n")}\n` +
    `\nTo keep the cluster, set the former value again.\n${way}\n`
  );
}
