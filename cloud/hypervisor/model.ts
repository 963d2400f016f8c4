/** The desired state, as read from the EC2 and ELBv2 APIs, and the messages between the API and the hypervisor. */

/** Everything that the API says should exist. */
export interface Desired {
  readonly vpcs: readonly Vpc[];
  readonly instances: readonly Instance[];
  readonly groups: readonly SecurityGroup[];
  readonly balancers: readonly LoadBalancer[];
}

/** A VPC other than the account's default one. */
export interface Vpc {
  readonly id: string;
  readonly region: string;
  readonly cidr: string;
  /** The routes in its route tables that lead to an instance. */
  readonly routes: readonly Route[];
}

/** A route to an instance. */
export interface Route {
  /** CIDR block. */
  readonly destination: string;
  /** The instance's private address. */
  readonly via: string;
}

/** An instance as the API knows it; the container that runs it is called its machine. */
export interface Instance {
  readonly id: string;
  readonly region: string;
  /** The value of the tag Name, or the id if it has no such tag. */
  readonly name: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly vpcId: string;
  readonly state: "running" | "stopped" | "terminated";
  readonly privateIp: string;
  /** Ids of its network interfaces. */
  readonly interfaces: readonly string[];
  /** Private DNS name, which is also the hostname unless the user data sets another. */
  readonly dnsName: string;
  readonly type: string;
  readonly keyName: string | undefined;
  readonly groups: readonly string[];
  readonly zone: string;
  readonly sourceDestCheck: boolean;
  /** Time of the last API request to run, start or reboot it. */
  readonly bootedAt: Date;
}

/** A security group with its rules. */
export interface SecurityGroup {
  readonly id: string;
  readonly name: string;
  readonly ingress: readonly Rule[];
  readonly egress: readonly Rule[];
}

/** One permission of a security group, as in the API. Protocol "-1" means any; only some protocols have ports. */
export interface Rule {
  readonly protocol: string;
  readonly fromPort: number | undefined;
  readonly toPort: number | undefined;
  readonly cidrs: readonly string[];
  readonly groups: readonly string[];
}

/** A network load balancer. */
export interface LoadBalancer {
  readonly arn: string;
  readonly name: string;
  readonly dnsName: string;
  readonly vpcId: string;
  readonly groups: readonly string[];
  /** One per subnet. */
  readonly nodes: readonly BalancerNode[];
  /** Whether its nodes also send traffic to targets in other zones. */
  readonly crossZone: boolean;
  readonly listeners: readonly Listener[];
}

/** A load balancer node in AWS's sense: the load balancer's presence in one subnet. */
export interface BalancerNode {
  readonly subnetId: string;
  readonly zone: string;
  readonly address: string;
}

/** A port of a load balancer, with the target group that it forwards to. */
export interface Listener {
  readonly port: number;
  readonly targetGroup: TargetGroup;
}

/** A target group with its registered targets. */
export interface TargetGroup {
  readonly arn: string;
  readonly name: string;
  readonly healthCheck: HealthCheck;
  readonly targets: readonly Target[];
}

/** A health check as in the API; times are in seconds. */
export interface HealthCheck {
  readonly protocol: string;
  /** A number, or "traffic-port". */
  readonly port: string;
  readonly path: string;
  readonly interval: number;
  readonly timeout: number;
  /** Number of failed checks after which a target counts as unhealthy. */
  readonly unhealthy: number;
  /** HTTP status codes, like "200", "200-399" or "200,204". */
  readonly matcher: string;
}

/** A registered target. */
export interface Target {
  /** As registered: an instance id or an address. */
  readonly id: string;
  readonly address: string;
  readonly port: number;
  /** Its zone; undefined for an address that does not belong to an instance of the cloud. */
  readonly zone: string | undefined;
}

/** What the API process returns when asked for changes. */
export interface Changes {
  /** Id of the API process: generations of different processes cannot be compared. */
  readonly process: number;
  /** Increases with every change of the API's state. */
  readonly generation: number;
  /** Regions that have a VPC other than the default one. */
  readonly regions: readonly string[];
  /** When each instance was last asked to run, start or reboot, in seconds since 1970. */
  readonly boots: Readonly<Record<string, number>>;
  /** Private addresses of load balancers, by ARN and subnet. */
  readonly addresses: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** What the hypervisor reports to the API process. */
export interface Health {
  /** Target states as in DescribeTargetHealth, by target group and target. */
  readonly targets: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Instances that should be running and whose machine is down. */
  readonly impaired: readonly string[];
}
