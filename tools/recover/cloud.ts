/** Recovery's calls to EC2: finding tagged resources, finding live instances, and deleting each type of resource. */
import * as ec2 from "@aws-sdk/client-ec2";
import { ElasticLoadBalancingV2Client } from "@aws-sdk/client-elastic-load-balancing-v2";
import { project } from "../places";
import type { Stack } from "../stack";
import { type Instance, isGone } from "./instance";
import type { CloudResource, Live } from "./orphans";

/** Clients of the APIs that a stack's resources belong to. */
export interface Clients {
  readonly ec2: ec2.EC2Client;
  readonly elb: ElasticLoadBalancingV2Client;
}

export function clientsOf({ region, awsEndpoint }: Stack): Clients {
  const credentials = { accessKeyId: "local", secretAccessKey: "local" };
  const options = { region, ...(awsEndpoint === undefined ? {} : { endpoint: awsEndpoint, credentials }) };
  return { ec2: new ec2.EC2Client(options), elb: new ElasticLoadBalancingV2Client(options) };
}

/** Every instance, by its id. */
export async function describeInstances(
  { ec2: client }: Clients,
  abortSignal?: AbortSignal,
): Promise<ReadonlyMap<string, Instance>> {
  const impaired = new Set<string>();
  for await (const page of ec2.paginateDescribeInstanceStatus({ client }, {}, { abortSignal }))
    for (const { InstanceId = "", InstanceStatus, SystemStatus } of page.InstanceStatuses ?? [])
      if ([InstanceStatus?.Status, SystemStatus?.Status].includes("impaired")) impaired.add(InstanceId);
  const instances = new Map<string, Instance>();
  for await (const page of ec2.paginateDescribeInstances({ client }, {}, { abortSignal }))
    for (const { Instances = [] } of page.Reservations ?? [])
      for (const { InstanceId: id = "", State, PublicIpAddress: publicIp } of Instances)
        instances.set(id, { state: State?.Name ?? "", isImpaired: impaired.has(id), publicIp });
  return instances;
}

/** The instances that are neither terminated nor about to be. */
export async function liveInstances(clients: Clients): Promise<Live> {
  const live = [...(await describeInstances(clients))].filter(([, { state }]) => !isGone(state));
  return new Map(live.map(([id, { publicIp }]) => [id, publicIp]));
}

/** What carries the tags that the program gives to everything in a stack, without instances that are not live. */
export async function taggedResources({ ec2: client }: Clients, stack: string, live: Live): Promise<CloudResource[]> {
  const byTag = async (key: string, value: string): Promise<ec2.TagDescription[]> => {
    const filters = [
      { Name: "key", Values: [key] },
      { Name: "value", Values: [value] },
    ];
    const found: ec2.TagDescription[] = [];
    for await (const page of ec2.paginateDescribeTags({ client }, { Filters: filters }))
      found.push(...(page.Tags ?? []));
    return found;
  };
  const [tagsOfProject, tagsOfStack] = await Promise.all([byTag("project", project), byTag("stack", stack)]);
  const ofProject = new Set(tagsOfProject.map((tag) => tag.ResourceId));
  return tagsOfStack
    .filter((tag) => ofProject.has(tag.ResourceId))
    .map((tag) => ({ type: tag.ResourceType ?? "", id: tag.ResourceId ?? "" }))
    .filter(({ type, id }) => type !== "instance" || live.has(id));
}

/** How each type of resource is deleted, in an order in which nothing is deleted while another orphan depends on it. */
const deletions: Readonly<Record<string, (client: ec2.EC2Client, id: string) => Promise<unknown>>> = {
  instance: terminate,
  "elastic-ip": (client, id) => client.send(new ec2.ReleaseAddressCommand({ AllocationId: id })),
  "network-interface": (client, id) => client.send(new ec2.DeleteNetworkInterfaceCommand({ NetworkInterfaceId: id })),
  volume: (client, id) => client.send(new ec2.DeleteVolumeCommand({ VolumeId: id })),
  "security-group-rule": revokeRule,
  "internet-gateway": deleteGateway,
  "route-table": deleteRouteTable,
  subnet: (client, id) => client.send(new ec2.DeleteSubnetCommand({ SubnetId: id })),
  // the VPC's default group cannot be deleted; it is removed with the VPC
  "security-group": (client, id) =>
    ignoring(/CannotDelete/, client.send(new ec2.DeleteSecurityGroupCommand({ GroupId: id }))),
  vpc: (client, id) => client.send(new ec2.DeleteVpcCommand({ VpcId: id })),
  "key-pair": (client, id) => client.send(new ec2.DeleteKeyPairCommand({ KeyPairId: id })),
};

/** The types that can be deleted, in the order in which they can. */
export const deletionOrder: readonly string[] = Object.keys(deletions);

/** Deletes a resource, which may be gone already. */
export async function deleteResource({ ec2: client }: Clients, { type, id }: CloudResource): Promise<void> {
  await ignoring(/NotFound/, deletions[type]?.(client, id) ?? Promise.resolve());
}

async function terminate(client: ec2.EC2Client, id: string): Promise<void> {
  const InstanceIds = [id];
  await client.send(new ec2.TerminateInstancesCommand({ InstanceIds }));
  await ec2.waitUntilInstanceTerminated({ client, maxWaitTime: 300, minDelay: 1 }, { InstanceIds });
}

export async function revokeRule(client: ec2.EC2Client, id: string): Promise<void> {
  const SecurityGroupRuleIds = [id];
  const { SecurityGroupRules } = await client.send(new ec2.DescribeSecurityGroupRulesCommand({ SecurityGroupRuleIds }));
  for (const { GroupId, IsEgress } of SecurityGroupRules ?? []) {
    const target = { GroupId, SecurityGroupRuleIds };
    await (IsEgress
      ? client.send(new ec2.RevokeSecurityGroupEgressCommand(target))
      : client.send(new ec2.RevokeSecurityGroupIngressCommand(target)));
  }
}

async function deleteGateway(client: ec2.EC2Client, id: string): Promise<void> {
  const { InternetGateways } = await client.send(new ec2.DescribeInternetGatewaysCommand({ InternetGatewayIds: [id] }));
  for (const { VpcId } of InternetGateways?.flatMap((gateway) => gateway.Attachments ?? []) ?? [])
    await client.send(new ec2.DetachInternetGatewayCommand({ InternetGatewayId: id, VpcId }));
  await client.send(new ec2.DeleteInternetGatewayCommand({ InternetGatewayId: id }));
}

/** Subnets that are associated with it go back to the VPC's main table. */
async function deleteRouteTable(client: ec2.EC2Client, id: string): Promise<void> {
  const { RouteTables } = await client.send(new ec2.DescribeRouteTablesCommand({ RouteTableIds: [id] }));
  for (const { Main, RouteTableAssociationId: AssociationId } of RouteTables?.flatMap(
    (table) => table.Associations ?? [],
  ) ?? [])
    if (!Main) await client.send(new ec2.DisassociateRouteTableCommand({ AssociationId }));
  await client.send(new ec2.DeleteRouteTableCommand({ RouteTableId: id }));
}

/** The call's result; undefined if it fails with an error of that name or message. */
export async function ignoring<T>(pattern: RegExp, call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (pattern.test(`${(error as Error).name} ${(error as Error).message}`)) return undefined;
    throw error;
  }
}
