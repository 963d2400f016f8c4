/**
 * What the cluster is, computed from the configuration alone: every name, address, CIDR and certificate name is known
 * before anything exists, so that `pulumi preview` shows the real files and tests need no cloud.
 */

export type Role = "control-plane" | "worker" | "balancer";
export type Stage = "machines" | "etcd" | "control-plane" | "workers" | "network" | "dns";
export const stages: readonly Stage[] = ["machines", "etcd", "control-plane", "workers", "network", "dns"];
export type ApiEndpointKind = "elastic-ip" | "nlb" | "haproxy";

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
  /** Names and addresses in the API server's certificate that are known beforehand (Elastic IPs are added to them). */
  readonly apiServerSans: { readonly dns: readonly string[]; readonly ip: readonly string[] };
  readonly architecture: { readonly controlPlane: "amd64" | "arm64"; readonly worker: "amd64" | "arm64"; readonly balancer: "amd64" | "arm64" };
  readonly kubernetesVersion: string;
  readonly etcdVersion: string;
  readonly kubeProxyMode: "iptables" | "nftables";
  readonly kubeReserved: Reservation;
  readonly systemReserved: Reservation;
  /** Additional or overriding flags of kube-apiserver, without the leading dashes. */
  readonly apiServerArgs: Readonly<Record<string, string>>;
  /** Base URL in front of `<host>/<path>` of every release file; undefined: the origin itself. */
  readonly mirror?: string;
  /** Base URL of a container registry that stands in for all others; undefined: the origins themselves. */
  readonly registryMirror?: string;
  /** The last chapter to run. */
  readonly stage: Stage;
}
