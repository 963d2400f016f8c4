/** Reads load balancers, listeners and target groups from the ELBv2 API. */
import {
  DescribeListenersCommand,
  DescribeLoadBalancerAttributesCommand,
  DescribeLoadBalancersCommand,
  DescribeTargetGroupsCommand,
  DescribeTargetHealthCommand,
  ElasticLoadBalancingV2Client,
  LoadBalancer as ApiLoadBalancer,
  TargetGroup as ApiTargetGroup,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { Changes, Instance, LoadBalancer, Target, TargetGroup } from "./model";

/** Reads the network load balancers of a region. */
export async function readBalancers(
  client: ElasticLoadBalancingV2Client,
  changes: Changes,
  instances: readonly Instance[],
): Promise<LoadBalancer[]> {
  const { LoadBalancers } = await client.send(new DescribeLoadBalancersCommand({}));
  const balancers = (LoadBalancers ?? []).filter(({ Type }) => Type === "network");
  return Promise.all(balancers.map((balancer) => readBalancer(client, balancer, changes, instances)));
}

async function readBalancer(
  client: ElasticLoadBalancingV2Client,
  balancer: ApiLoadBalancer,
  changes: Changes,
  instances: readonly Instance[],
): Promise<LoadBalancer> {
  const LoadBalancerArn = balancer.LoadBalancerArn!;
  const [listeners, attributes, groups] = await Promise.all([
    client.send(new DescribeListenersCommand({ LoadBalancerArn })),
    client.send(new DescribeLoadBalancerAttributesCommand({ LoadBalancerArn })),
    client.send(new DescribeTargetGroupsCommand({ LoadBalancerArn })),
  ]);
  const targetGroups = await Promise.all(
    (groups.TargetGroups ?? []).map((group) => readTargetGroup(client, group, instances)),
  );
  const crossZone = attributes.Attributes?.find(({ Key }) => Key === "load_balancing.cross_zone.enabled")?.Value;
  return {
    arn: LoadBalancerArn,
    name: balancer.LoadBalancerName!,
    dnsName: balancer.DNSName!,
    vpcId: balancer.VpcId!,
    groups: balancer.SecurityGroups ?? [],
    nodes: (balancer.AvailabilityZones ?? []).flatMap(({ SubnetId, ZoneName }) => {
      const address = changes.addresses[LoadBalancerArn]?.[SubnetId!];
      return address ? [{ subnetId: SubnetId!, zone: ZoneName!, address }] : [];
    }),
    crossZone: crossZone === "true",
    listeners: (listeners.Listeners ?? []).flatMap((listener) => {
      const targetGroup = targetGroups.find(({ arn }) => arn === listener.DefaultActions?.[0]?.TargetGroupArn);
      return targetGroup ? [{ port: listener.Port!, targetGroup }] : [];
    }),
  };
}

async function readTargetGroup(
  client: ElasticLoadBalancingV2Client,
  group: ApiTargetGroup,
  instances: readonly Instance[],
): Promise<TargetGroup> {
  const health = await client.send(new DescribeTargetHealthCommand({ TargetGroupArn: group.TargetGroupArn }));
  const targets = (health.TargetHealthDescriptions ?? []).flatMap(({ Target: target }): Target[] => {
    const instance = instances.find(({ id, privateIp }) => id === target?.Id || privateIp === target?.Id);
    const address = instance?.privateIp ?? (target?.Id?.startsWith("i-") ? undefined : target?.Id);
    if (!target?.Id || !address || instance?.state === "terminated") return [];
    return [{ id: target.Id, address, port: target.Port ?? group.Port!, zone: instance?.zone }];
  });
  return {
    arn: group.TargetGroupArn!,
    name: group.TargetGroupName!,
    targets: targets.sort((a, b) => a.address.localeCompare(b.address)),
    healthCheck: {
      protocol: group.HealthCheckProtocol ?? "TCP",
      port: group.HealthCheckPort ?? "traffic-port",
      path: group.HealthCheckPath ?? "/",
      interval: group.HealthCheckIntervalSeconds ?? 30,
      timeout: group.HealthCheckTimeoutSeconds ?? 10,
      unhealthy: group.UnhealthyThresholdCount ?? 2,
      matcher: group.Matcher?.HttpCode ?? "200-399",
    },
  };
}
