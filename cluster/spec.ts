/**
 * What the cluster is, computed from the configuration alone: every name, address, CIDR and certificate name is known
 * before anything exists, so that `pulumi preview` shows the real files and tests need no cloud.
 */
import { cidr, countSubnets, formatCidr, nthAddress, nthSubnet } from "./cidr";
import type { Config } from "./config";
import { type Architecture, architecture } from "./instance-types";

export type Role = "control-plane" | "worker" | "balancer";
export const stages = ["machines", "etcd", "control-plane", "workers", "network", "dns"] as const;
export type Stage = (typeof stages)[number];
export const apiEndpointKinds = ["elastic-ip", "nlb", "haproxy"] as const;
export type ApiEndpointKind = (typeof apiEndpointKinds)[number];

/** One EC2 instance of the cluster. */
export interface Machine {
  /** Name of the machine, of its host and of its Kubernetes node: controller-0, worker-1, balancer. */
  readonly name: string;
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
}

/** Resources withheld from pods, as the kubelet writes them: {cpu: "100m", memory: "256Mi"}. */
export interface Reservation {
  readonly cpu?: string;
  readonly memory?: string;
}

/** The whole cluster as data. */
export interface ClusterSpec {
  /** Prefix of names and value of the tag `cluster`. */
  readonly name: string;
  readonly region: string;
  /** Number of availability zones, hence of subnets: 1 or 3. */
  readonly zones: number;
  readonly vpcCidr: string;
  /** One /24 per zone. */
  readonly subnetCidrs: readonly string[];
  readonly podCidr: string;
  readonly serviceCidr: string;
  /** First address of the service CIDR: the Service `kubernetes`. */
  readonly kubernetesServiceIp: string;
  /** Address of the Service `kube-dns`. */
  readonly clusterDns: string;
  /** The one network that may reach SSH, the API endpoint and, where opened, NodePorts. */
  readonly adminCidr: string;
  /** Whether the administrator comes to the machines' public or private addresses. */
  readonly adminAccess: "public" | "private";
  readonly openNodePorts: boolean;
  readonly controllers: readonly Machine[];
  readonly workers: readonly Machine[];
  /** The HAProxy machine when apiEndpoint is haproxy. */
  readonly balancer?: Machine;
  /** Every machine, in the order of the series: balancer, controllers, workers. */
  readonly machines: readonly Machine[];
  readonly apiEndpoint: ApiEndpointKind;
  /** Name by which the nodes reach the API server, written in every node's /etc/hosts: api.<name>.internal. */
  readonly apiName: string;
  /** Addresses that apiName stands for on the nodes. */
  readonly apiAddresses: readonly string[];
  /** Private addresses of the load balancer, one per zone; used when it is internal. */
  readonly loadBalancerAddresses: readonly string[];
  /** Names and addresses in the API server's certificate that are known beforehand (the Elastic IP is added to them). */
  readonly apiServerSans: { readonly dns: readonly string[]; readonly ip: readonly string[] };
  readonly architecture: Readonly<Record<"controlPlane" | "worker" | "balancer", Architecture>>;
  readonly rootVolumeGiB: number;
  readonly kubernetesVersion: string;
  readonly etcdVersion: string;
  readonly kubeProxyMode: "iptables" | "nftables";
  readonly kubeReserved: Reservation;
  readonly systemReserved: Reservation;
  /** Additional or overriding flags of kube-apiserver, without the leading dashes. */
  readonly apiServerArgs: Readonly<Record<string, string>>;
  /** Labels of every worker node besides those that Kubernetes sets. */
  readonly nodeLabels: Readonly<Record<string, string>>;
  /** Base URL in front of `<host>/<path>` of every release file; undefined: the origin itself. */
  readonly mirror?: string;
  /** Base URL of a container registry that stands in for all others; undefined: the origins themselves. */
  readonly registryMirror?: string;
  /** The last chapter to run. */
  readonly stage: Stage;
}

/** Prefix length of a zone's subnet and of a node's slice of the pod network. */
export const subnetPrefix = 24;
export const nodePodPrefix = 24;
/** Host part of the addresses in a subnet: the balancer, and the first controller and worker; the others count up. */
export const hostParts = { balancer: 10, controller: 11, worker: 21 } as const;
/** Most workers whose host part still fits in a /24 (the last two addresses stay free). */
export const maxWorkers = 254 - hostParts.worker;
/** Every number of control-plane nodes that a cluster may ever have; certificates name them all from the start. */
export const maxControllers = 3;

const isDefined = <T>(value: T | undefined): value is T => value !== undefined;

/** Addresses of one layout: machine i lives in zone i modulo zones, under a host part of its own. */
function addresses(vpcCidr: string, zones: number) {
  const vpc = cidr(vpcCidr);
  const subnets = Array.from({ length: zones }, (_, zone) => nthSubnet(vpc, subnetPrefix, zone + 1));
  const subnet = (zone: number) => subnets[zone % zones] as (typeof subnets)[number];
  return { subnets, at: (index: number, first: number) => nthAddress(subnet(index), first + index) };
}

/** The controllers' addresses that a certificate must name, whichever shape the cluster takes later. */
function everyControllerAddress(vpcCidr: string): string[] {
  const fitting = [1, 3].filter((zones) => countSubnets(cidr(vpcCidr), subnetPrefix) > zones);
  const all = fitting.flatMap((zones) => {
    const { at } = addresses(vpcCidr, zones);
    return Array.from({ length: maxControllers }, (_, index) => at(index, hostParts.controller));
  });
  return [...new Set(all)];
}

/** Computes the cluster from a configuration that parseConfig accepted. */
export function clusterSpec(config: Config): ClusterSpec {
  const { zones } = config;
  const { subnets, at } = addresses(config.vpcCidr, zones);
  const pods = cidr(config.podCidr);
  const podCidr = (block: number) => formatCidr(nthSubnet(pods, nodePodPrefix, block));
  const lastBlock = countSubnets(pods, nodePodPrefix) - 1;

  const controllers = Array.from({ length: config.controlPlaneCount }, (_, index): Machine => ({
    name: `controller-${index}`,
    role: "control-plane",
    index,
    zone: index % zones,
    privateIp: at(index, hostParts.controller),
    podCidr: podCidr(lastBlock - index),
    instanceType: config.controlPlaneInstanceType,
  }));
  const workers = Array.from({ length: config.workerCount }, (_, index): Machine => ({
    name: `worker-${index}`,
    role: "worker",
    index,
    zone: index % zones,
    privateIp: at(index, hostParts.worker),
    podCidr: podCidr(index),
    instanceType: config.workerInstanceType,
  }));
  const balancerAddress = at(0, hostParts.balancer);
  const balancer: Machine | undefined =
    config.apiEndpoint === "haproxy"
      ? {
          name: "balancer",
          role: "balancer",
          index: 0,
          zone: 0,
          privateIp: balancerAddress,
          instanceType: config.balancerInstanceType,
        }
      : undefined;

  const kubernetesServiceIp = nthAddress(cidr(config.serviceCidr), 1);
  const apiName = `api.${config.clusterName}.internal`;
  return {
    name: config.clusterName,
    region: config.region,
    zones,
    vpcCidr: config.vpcCidr,
    subnetCidrs: subnets.map(formatCidr),
    podCidr: config.podCidr,
    serviceCidr: config.serviceCidr,
    kubernetesServiceIp,
    clusterDns: config.clusterDns,
    adminCidr: config.adminCidr,
    adminAccess: config.adminAccess,
    openNodePorts: config.openNodePorts,
    controllers,
    workers,
    balancer,
    machines: [balancer, ...controllers, ...workers].filter(isDefined),
    apiEndpoint: config.apiEndpoint,
    apiName,
    apiAddresses: balancer ? [balancer.privateIp] : controllers.map((controller) => controller.privateIp),
    loadBalancerAddresses: subnets.map((subnet) => nthAddress(subnet, hostParts.balancer)),
    apiServerSans: {
      dns: [
        ...["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"],
        "localhost",
        ...Array.from({ length: maxControllers }, (_, index) => `controller-${index}`),
        "balancer",
        apiName,
        // A network load balancer's name is known minutes after everything else: the certificate does not wait for it.
        `*.elb.${config.region}.amazonaws.com`,
        `*.${config.region}.elb.amazonaws.com`,
      ],
      ip: [kubernetesServiceIp, "127.0.0.1", balancerAddress, ...everyControllerAddress(config.vpcCidr)],
    },
    architecture: {
      controlPlane: architecture(config.controlPlaneInstanceType) ?? "amd64",
      worker: architecture(config.workerInstanceType) ?? "amd64",
      balancer: architecture(config.balancerInstanceType) ?? "amd64",
    },
    rootVolumeGiB: config.rootVolumeGiB,
    kubernetesVersion: config.kubernetesVersion,
    etcdVersion: config.etcdVersion,
    kubeProxyMode: config.kubeProxyMode,
    kubeReserved: config.kubeReserved,
    systemReserved: config.systemReserved,
    apiServerArgs: config.apiServerArgs,
    nodeLabels: config.nodeLabels,
    mirror: config.mirror,
    registryMirror: config.registryMirror,
    stage: config.stage,
  };
}
