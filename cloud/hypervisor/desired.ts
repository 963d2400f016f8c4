/** The hypervisor's client for the API process. */
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
import { readBalancers } from "./desired-balancers";
import { Changes, Desired, Health, Instance, Rule } from "./model";

/** How long to wait for a response from the API, in milliseconds; longer than a long poll takes. */
const TIMEOUT = 20_000;

const CREDENTIALS = { accessKeyId: "local", secretAccessKey: "local" };

/** Reads the desired state, and reports what the machines are doing. */
export class Api {
  private readonly clients = new Map<string, EC2Client>();
  private readonly types = new Map<string, Promise<{ cpus: number; memoryMiB: number }>>();

  constructor(readonly endpoint: string) {}

  /** Waits until the API's generation exceeds `after`, or for a few seconds, and returns the changes. */
  async changes(after: number): Promise<Changes> {
    const response = await fetch(`${this.endpoint}/hypervisor/changes?after=${after}`, {
      signal: AbortSignal.timeout(TIMEOUT),
    });
    return (await response.json()) as Changes;
  }

  /** Everything that should exist. */
  async desired(changes: Changes): Promise<Desired> {
    const regions = await Promise.all(changes.regions.map((region) => this.region(region, changes)));
    return {
      vpcs: regions.flatMap((region) => region.vpcs),
      instances: regions.flatMap((region) => region.instances),
      groups: regions.flatMap((region) => region.groups),
      balancers: regions.flatMap((region) => region.balancers),
    };
  }

  /** Reports what the API process cannot know: the health of load balancer targets, and machines that have died. */
  async report(health: Health): Promise<void> {
    await this.post("health", health);
  }

  /** The instance's user data, empty if it has none, and the public key of its key pair. */
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
   * Reports that a machine shut itself down. This is not StopInstances, which would also undo a start that was requested
   * after the instance was read: the API stops it only if nobody has asked it to boot since.
   */
  async stopped({ id, bootedAt }: Pick<Instance, "id" | "bootedAt">): Promise<void> {
    await this.post("stopped", { id, boot: bootedAt.getTime() / 1000 });
  }

  /** Reports that a machine cannot boot because it does not exist any more. */
  async lost({ id }: Pick<Instance, "id">): Promise<void> {
    await this.post("lost", { id });
  }

  /** The EC2 client for a region. */
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
    // A route's target is an instance, or a network interface of one.
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
