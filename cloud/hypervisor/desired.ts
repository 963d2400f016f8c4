import { ElasticLoadBalancingV2Client } from "@aws-sdk/client-elastic-load-balancing-v2";
import {
  DescribeInstanceAttributeCommand,
  DescribeInstanceTypesCommand,
  DescribeInstancesCommand,
  DescribeKeyPairsCommand,
  DescribeRouteTablesCommand,
  DescribeSecurityGroupsCommand,
  DescribeVpcsCommand,
  EC2Client,
  Instance as ApiInstance,
  IpPermission,
} from "@aws-sdk/client-ec2";

import { LoadBalancer, readBalancers } from "./desired-balancers";

/** What the API says there is: the state that the hypervisor makes true. */
export interface Desired {
  readonly vpcs: readonly Vpc[];
  readonly instances: readonly Instance[];
  readonly groups: readonly SecurityGroup[];
  readonly balancers: readonly LoadBalancer[];
}

/** A VPC that is not the account's default one. */
export interface Vpc {
  readonly id: string;
  readonly region: string;
  readonly cidr: string;
  /** Routes of its route tables that lead to an instance, by the instance's private address. */
  readonly routes: readonly Route[];
}

export interface Route {
  readonly destination: string;
  readonly via: string;
}

export interface Instance {
  readonly id: string;
  readonly region: string;
  /** The tag Name, else the id. */
  readonly name: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly vpcId: string;
  readonly state: "running" | "stopped" | "terminated";
  readonly privateIp: string;
  /** Ids of its network interfaces. */
  readonly interfaces: readonly string[];
  /** Private DNS name: what the machine calls itself until its user data says otherwise. */
  readonly dnsName: string;
  readonly type: string;
  readonly keyName: string | undefined;
  readonly groups: readonly string[];
  readonly zone: string;
  readonly sourceDestCheck: boolean;
  /** When the API was last told to run, start or reboot it. */
  readonly bootedAt: Date;
}

export interface SecurityGroup {
  readonly id: string;
  readonly name: string;
  readonly ingress: readonly Rule[];
  readonly egress: readonly Rule[];
}

/** One permission of a security group, as the API has it: protocol "-1" is any, ports are missing where they mean nothing. */
export interface Rule {
  readonly protocol: string;
  readonly fromPort: number | undefined;
  readonly toPort: number | undefined;
  readonly cidrs: readonly string[];
  readonly groups: readonly string[];
}

/** Notice from the API: which generation of its state this is, where there is something, and who was told to boot when. */
export interface Changes {
  /** The API's process: generations of another one mean nothing. */
  readonly process: number;
  readonly generation: number;
  readonly regions: readonly string[];
  readonly boots: Readonly<Record<string, number>>;
  /** Private addresses of load balancers, by ARN and subnet. */
  readonly addresses: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** What is reported to the API. */
export interface Health {
  /** State as DescribeTargetHealth has it, by target group and target. */
  readonly targets: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Instances whose machine is down although they are meant to run. */
  readonly impaired: readonly string[];
}

/** How long the hypervisor waits for an answer of the API, in milliseconds; longer than a long poll. */
const TIMEOUT = 20_000;

const CREDENTIALS = { accessKeyId: "local", secretAccessKey: "local" };

/** Reads the cloud's API. */
export class Api {
  private readonly clients = new Map<string, EC2Client>();
  private readonly types = new Map<string, Promise<{ cpus: number; memoryMiB: number }>>();

  constructor(readonly endpoint: string) {}

  /** Waits (some seconds at most) until the API's state is newer than a generation, and says what is new. */
  async changes(after: number): Promise<Changes> {
    const response = await fetch(`${this.endpoint}/hypervisor/changes?after=${after}`, {
      signal: AbortSignal.timeout(TIMEOUT),
    });
    return (await response.json()) as Changes;
  }

  /** Everything that the API wants to exist. */
  async desired(changes: Changes): Promise<Desired> {
    const regions = await Promise.all(changes.regions.map((region) => this.region(region, changes)));
    return {
      vpcs: regions.flatMap((region) => region.vpcs),
      instances: regions.flatMap((region) => region.instances),
      groups: regions.flatMap((region) => region.groups),
      balancers: regions.flatMap((region) => region.balancers),
    };
  }

  /** Reports what the API cannot know: health of load balancer targets by target group, and machines that died. */
  async report(health: Health): Promise<void> {
    await this.post("health", health);
  }

  /** The instance's user data, empty if it has none, and the public key that it is to be reached by. */
  async firstBoot(instance: Instance): Promise<{ userData: Buffer; publicKey: string | undefined }> {
    const client = this.ec2(instance.region);
    const attribute = new DescribeInstanceAttributeCommand({ InstanceId: instance.id, Attribute: "userData" });
    const key = instance.keyName
      ? client.send(new DescribeKeyPairsCommand({ KeyNames: [instance.keyName], IncludePublicKey: true }))
      : undefined;
    const [data, keys] = await Promise.all([client.send(attribute), key]);
    return {
      userData: Buffer.from(data.UserData?.Value ?? "", "base64"),
      publicKey: keys?.KeyPairs?.[0]?.PublicKey?.trim(),
    };
  }

  /** Virtual CPUs and memory of an instance type. */
  size(instance: Instance): Promise<{ cpus: number; memoryMiB: number }> {
    let size = this.types.get(instance.type);
    if (!size) {
      const command = new DescribeInstanceTypesCommand({ InstanceTypes: [instance.type as never] });
      size = this.ec2(instance.region)
        .send(command)
        .then(({ InstanceTypes }) => ({
          cpus: InstanceTypes?.[0]?.VCpuInfo?.DefaultVCpus ?? 2,
          memoryMiB: InstanceTypes?.[0]?.MemoryInfo?.SizeInMiB ?? 4096,
        }));
      this.types.set(instance.type, size);
    }
    return size;
  }

  /**
   * Reports that a machine shut itself down. Not StopInstances, which would also undo a start that came in since the
   * instance was read: the API stops it only if it has not been told to boot since then.
   */
  async stopped({ id, bootedAt }: Pick<Instance, "id" | "bootedAt">): Promise<void> {
    await this.post("stopped", { id, boot: bootedAt.getTime() / 1000 });
  }

  ec2(region: string): EC2Client {
    let client = this.clients.get(region);
    if (!client) {
      client = new EC2Client({ region, endpoint: this.endpoint, credentials: CREDENTIALS });
      this.clients.set(region, client);
    }
    return client;
  }

  private async post(path: string, body: object): Promise<void> {
    const response = await fetch(`${this.endpoint}/hypervisor/${path}`, {
      method: "POST",
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT),
    });
    if (!response.ok) throw new Error(`the EC2 API refused a report (${path}): status ${response.status}`);
  }

  private balancing(region: string): ElasticLoadBalancingV2Client {
    return new ElasticLoadBalancingV2Client({ region, endpoint: this.endpoint, credentials: CREDENTIALS });
  }

  private async region(region: string, changes: Changes): Promise<Desired> {
    const client = this.ec2(region);
    const [vpcs, tables, reservations, groups] = await Promise.all([
      client.send(new DescribeVpcsCommand({ Filters: [{ Name: "is-default", Values: ["false"] }] })),
      client.send(new DescribeRouteTablesCommand({})),
      client.send(new DescribeInstancesCommand({})),
      client.send(new DescribeSecurityGroupsCommand({})),
    ]);
    const instances = (reservations.Reservations ?? [])
      .flatMap((reservation) => reservation.Instances ?? [])
      .map((instance) => instanceOf(instance, region, changes));
    // A route leads to an instance, or to its network interface.
    const addresses = new Map(
      instances.flatMap(({ id, interfaces, privateIp }) => [id, ...interfaces].map((to) => [to, privateIp] as const)),
    );
    const balancers = Object.keys(changes.addresses).some((arn) => arn.split(":")[3] === region)
      ? await readBalancers(this.balancing(region), changes, instances)
      : [];
    return {
      balancers,
      instances,
      groups: (groups.SecurityGroups ?? []).map((group) => ({
        id: group.GroupId!,
        name: group.GroupName!,
        ingress: (group.IpPermissions ?? []).map(ruleOf),
        egress: (group.IpPermissionsEgress ?? []).map(ruleOf),
      })),
      vpcs: (vpcs.Vpcs ?? []).map((vpc) => ({
        id: vpc.VpcId!,
        region,
        cidr: vpc.CidrBlock!,
        routes: (tables.RouteTables ?? [])
          .filter((table) => table.VpcId === vpc.VpcId)
          .flatMap((table) => table.Routes ?? [])
          .flatMap((route) => {
            const via = addresses.get(route.InstanceId ?? route.NetworkInterfaceId ?? "");
            return via && route.DestinationCidrBlock ? [{ destination: route.DestinationCidrBlock, via }] : [];
          }),
      })),
    };
  }
}

function instanceOf(instance: ApiInstance, region: string, changes: Changes): Instance {
  const state = instance.State?.Name;
  return {
    id: instance.InstanceId!,
    region,
    name: instance.Tags?.find((tag) => tag.Key === "Name")?.Value ?? instance.InstanceId!,
    tags: Object.fromEntries((instance.Tags ?? []).map(({ Key, Value }) => [Key!, Value!])),
    vpcId: instance.VpcId ?? "",
    state:
      state === "running" || state === "pending" ? "running" : state?.startsWith("stop") ? "stopped" : "terminated",
    privateIp: instance.PrivateIpAddress ?? "",
    interfaces: (instance.NetworkInterfaces ?? []).map(({ NetworkInterfaceId }) => NetworkInterfaceId!),
    dnsName: instance.PrivateDnsName ?? "",
    type: instance.InstanceType ?? "t3.medium",
    keyName: instance.KeyName,
    groups: (instance.SecurityGroups ?? []).map((group) => group.GroupId!),
    zone: instance.Placement?.AvailabilityZone ?? "",
    sourceDestCheck: instance.SourceDestCheck ?? true,
    bootedAt: new Date((changes.boots[instance.InstanceId!] ?? 0) * 1000),
  };
}

function ruleOf(permission: IpPermission): Rule {
  return {
    protocol: permission.IpProtocol ?? "-1",
    fromPort: permission.FromPort,
    toPort: permission.ToPort,
    cidrs: (permission.IpRanges ?? []).map((range) => range.CidrIp!),
    groups: (permission.UserIdGroupPairs ?? []).map((pair) => pair.GroupId!),
  };
}
