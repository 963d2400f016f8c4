/**
 * The vocabulary of a cluster: roles, stages, kinds of API endpoint, and how addresses are laid out.
 *
 *     VPC 10.0.0.0/16                              pods 10.200.0.0/16
 *       10.0.0.0/24  unused                          10.200.0.0/24    worker-0
 *       10.0.1.0/24  zone 0                          10.200.1.0/24    worker-1, and so on upwards
 *         .10  balancer or load balancer             ...
 *         .11  controller-0  (.12, .13 the others)   10.200.254.0/24  controller-1, and so on downwards
 *         .21  worker-0, and so on upwards           10.200.255.0/24  controller-0
 *       10.0.2.0/24  zone 1, laid out the same way
 *       10.0.3.0/24  zone 2
 *
 * Machine i of a role lives in zone i modulo the number of zones.
 */
import type { Architecture } from "./instance-types";

export type Role = "control-plane" | "worker" | "balancer";
/** The stages of the bootstrap, in order; `stage` names the last one to run. */
export const stages = ["machines", "etcd", "control-plane", "workers", "network", "dns"] as const;
export type Stage = (typeof stages)[number];
/** What the administrator's kubeconfig points at. */
export const apiEndpointKinds = ["elastic-ip", "nlb", "haproxy"] as const;
export type ApiEndpointKind = (typeof apiEndpointKinds)[number];
export const adminAccesses = ["public", "private"] as const;
/** What nodes and their pods may connect to outside the cluster. */
export const egresses = ["anywhere", "downloads"] as const;
export const kubeProxyModes = ["iptables", "nftables"] as const;

export type ControllerName = `controller-${number}`;
export type NodeName = ControllerName | `worker-${number}`;
export type MachineName = NodeName | "balancer";

/** User of Debian's images on EC2, who may become root without a password. */
export const sshUser = "admin";

/** One EC2 instance of the cluster. */
export interface Machine {
  /** Name of the machine, of its host and of its Kubernetes node: controller-0, worker-1, balancer. */
  readonly name: MachineName;
  readonly role: Role;
  /** Index within its role, from 0. */
  readonly index: number;
  /** Index of its availability zone, from 0; also the index of its subnet. */
  readonly zone: number;
  /** Fixed private IPv4 address. */
  readonly privateIp: string;
  /** The node's slice of the pod network, such as 10.200.0.0/24; undefined for the balancer, which runs no pods. */
  readonly podCidr?: string;
  readonly instanceType: string;
  readonly architecture: Architecture;
}

/** A machine that is a Kubernetes node. */
export interface Node extends Machine {
  readonly name: NodeName;
  readonly podCidr: string;
  /** Labels and taints of the configuration, in addition to those that follow from its role. */
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly Taint[];
}

export const taintEffects = ["NoSchedule", "PreferNoSchedule", "NoExecute"] as const;

/** What repels pods that do not tolerate it. */
export interface Taint {
  readonly key: string;
  /** May be empty. */
  readonly value: string;
  readonly effect: (typeof taintEffects)[number];
}

/** A name in the configuration that stands for every worker. */
export const allWorkers = "workers";

/** A control-plane node. */
export interface Controller extends Node {
  readonly name: ControllerName;
}

/** Resources withheld from pods, in the kubelet's notation: {cpu: "100m", memory: "256Mi"}. */
export interface Reservation {
  readonly cpu?: string;
  readonly memory?: string;
}

/** First and last port of NodePort Services, the API server's default. */
export const nodePortRange = [30000, 32767] as const;

/** Prefix length of a zone's subnet and of a node's slice of the pod network. */
export const subnetPrefix = 24;
export const nodePodPrefix = 24;
/** The most pods of a node: its range without the network's address, the bridge's and the broadcast address. */
export const maxPods = 2 ** (32 - nodePodPrefix) - 3;
/** Issuer of service-account tokens. */
export const serviceAccountIssuer = "https://kubernetes.default.svc.cluster.local";
/** Host part of the addresses in a subnet: the balancer, and the first controller and worker; the others count up. */
export const hostParts = { balancer: 10, controller: 11, worker: 21 } as const;
/** The largest number of workers whose host parts fit in a /24 (the last two addresses stay free). */
export const maxWorkers = 254 - hostParts.worker;
/** The largest number of control-plane nodes that a cluster may have; certificates name all of them from the start. */
export const maxControllers = 3;
