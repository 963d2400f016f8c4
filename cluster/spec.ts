/**
 * What the cluster is, computed from the configuration alone: every name, address, CIDR and certificate name is known
 * before anything exists, so that `pulumi preview` shows the real files and tests need no cloud.
 */
import { address, cidr, countSubnets, formatCidr, nthAddress, nthSubnet } from "./cidr";
import type { Config } from "./config";
import { type Architecture, architecture } from "./instance-types";
import {
  allWorkers,
  type Controller,
  type ControllerName,
  hostParts,
  type Machine,
  maxControllers,
  type Node,
  nodePodPrefix,
  subnetPrefix,
  type Taint,
} from "./shape";

/** Secret values of the configuration. They go directly to the component that needs them, not into the specification. */
type Secrets = "encryptionKey" | "sshKey";
type PlainConfig = Omit<Config, Secrets>;

/** The whole cluster as data: its configuration, and everything that follows from it. */
export interface ClusterSpec extends PlainConfig {
  /** One /24 per zone. */
  readonly subnetCidrs: readonly string[];
  /** First address of the service CIDR: the Service `kubernetes`. */
  readonly kubernetesServiceIp: string;
  readonly controllers: readonly Controller[];
  readonly workers: readonly Node[];
  /** Controllers and workers: the machines that are nodes of the cluster. */
  readonly nodes: readonly Node[];
  /** The HAProxy machine when apiEndpoint is haproxy. */
  readonly balancer?: Machine;
  /** Every machine, in the order of the series: balancer, controllers, workers. */
  readonly machines: readonly Machine[];
  /** Name by which the nodes reach the API server, written in every node's /etc/hosts: api.<name>.internal. */
  readonly apiName: string;
  /** Addresses that apiName resolves to on the nodes. */
  readonly apiAddresses: readonly string[];
  /** Private addresses of the load balancer, one per zone; used when it is internal. */
  readonly loadBalancerAddresses: readonly string[];
  /** Names and addresses in the API server's certificate that are known in advance (the Elastic IP is added to them). */
  readonly apiServerSans: { readonly dns: readonly string[]; readonly ip: readonly string[] };
}

/** The machine that runs the steps that are done once for the whole cluster. */
export const firstController = ({ controllers }: ClusterSpec): Controller => controllers[0] as Controller;

/** Addresses of a layout: machine i of a role is in zone i modulo zones, and its host part is the role's first one + i. */
function addresses(vpcCidr: string, zones: number) {
  const vpc = cidr(vpcCidr);
  const subnets = Array.from({ length: zones }, (_, zone) => nthSubnet(vpc, subnetPrefix, zone + 1));
  const subnet = (zone: number) => subnets[zone % zones] as (typeof subnets)[number];
  return { subnets, at: (index: number, first: number) => nthAddress(subnet(index), first + index) };
}

/** The controllers' addresses that a certificate must contain, whatever shape the cluster has later. */
function everyControllerAddress(vpcCidr: string): string[] {
  const fitting = [1, 3].filter((zones) => countSubnets(cidr(vpcCidr), subnetPrefix) > zones);
  const all = fitting.flatMap((zones) => {
    const { at } = addresses(vpcCidr, zones);
    return Array.from({ length: maxControllers }, (_, index) => at(index, hostParts.controller));
  });
  return unique(all);
}

/** The configuration accepts only instance types whose architecture is known. */
const architectureOf = (instanceType: string): Architecture => architecture(instanceType) as Architecture;

/** Taints of several sources; of those with the same key and effect, the first. */
const merged = (sources: readonly (readonly Taint[])[]): Taint[] =>
  sources
    .flat()
    .filter(
      ({ key, effect }, index, all) => all.findIndex((other) => other.key === key && other.effect === effect) === index,
    );

function machines(config: PlainConfig): Pick<ClusterSpec, "controllers" | "workers" | "balancer"> {
  const { zones } = config;
  const { at } = addresses(config.vpcCidr, zones);
  const pods = cidr(config.podCidr);
  const lastBlock = countSubnets(pods, nodePodPrefix) - 1;
  const podCidr = (block: number) => formatCidr(nthSubnet(pods, nodePodPrefix, block));
  // a node's own labels win over those of all workers
  const marks = (...names: readonly string[]) => ({
    labels: Object.assign({}, ...names.toReversed().map((name) => config.nodeLabels[name])) as Record<string, string>,
    taints: merged(names.map((name) => config.nodeTaints[name] ?? [])),
  });
  const type = (instanceType: string) => ({ instanceType, architecture: architectureOf(instanceType) });
  return {
    controllers: Array.from({ length: config.controlPlaneCount }, (_, index) => ({
      name: `controller-${index}` as const,
      ...marks(`controller-${index}`),
      role: "control-plane" as const,
      index,
      zone: index % zones,
      privateIp: at(index, hostParts.controller),
      podCidr: podCidr(lastBlock - index),
      ...type(config.controlPlaneInstanceType),
    })),
    workers: Array.from({ length: config.workerCount }, (_, index) => ({
      name: `worker-${index}` as const,
      ...marks(`worker-${index}`, allWorkers),
      role: "worker" as const,
      index,
      zone: index % zones,
      privateIp: at(index, hostParts.worker),
      podCidr: podCidr(index),
      ...type(config.workerInstanceType),
    })),
    balancer:
      config.apiEndpoint === "haproxy"
        ? {
            name: "balancer",
            role: "balancer",
            index: 0,
            zone: 0,
            privateIp: at(0, hostParts.balancer),
            ...type(config.balancerInstanceType),
          }
        : undefined,
  };
}

const unique = (names: readonly string[]): string[] => [...new Set(names)];

/** Computes the cluster from a configuration that parseConfig accepted. */
export function clusterSpec({ encryptionKey: _key, sshKey: _sshKey, ...config }: Config): ClusterSpec {
  const { subnets, at } = addresses(config.vpcCidr, config.zones);
  const { controllers, workers, balancer } = machines(config);
  const nodes = [...controllers, ...workers];
  const kubernetesServiceIp = nthAddress(cidr(config.serviceCidr), 1);
  const apiName = `api.${config.clusterName}.internal`;
  const controllerNames = Array.from({ length: maxControllers }, (_, index): ControllerName => `controller-${index}`);
  return {
    ...config,
    subnetCidrs: subnets.map(formatCidr),
    kubernetesServiceIp,
    controllers,
    workers,
    nodes,
    balancer,
    machines: balancer ? [balancer, ...nodes] : nodes,
    apiName,
    apiAddresses: balancer ? [balancer.privateIp] : controllers.map(({ privateIp }) => privateIp),
    loadBalancerAddresses: subnets.map((subnet) => nthAddress(subnet, hostParts.balancer)),
    apiServerSans: {
      dns: unique([
        ...["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"],
        "localhost",
        ...controllerNames,
        "balancer",
        apiName,
        // A network load balancer's name is known minutes after everything else, and the certificate must not wait for it.
        `*.elb.${config.region}.amazonaws.com`,
        `*.${config.region}.elb.amazonaws.com`,
        ...config.apiServerNames.filter((name) => !address(name)),
      ]),
      ip: unique([
        ...[kubernetesServiceIp, "127.0.0.1", at(0, hostParts.balancer), ...everyControllerAddress(config.vpcCidr)],
        ...config.apiServerNames.filter((name) => address(name)),
      ]),
    },
  };
}
