/**
 * Where Pulumi's state and the cloud have parted, `up` and `destroy` could not go on by themselves:
 *
 * - An engine was killed: what it had begun to create may exist without being in the state. Such orphans are found (by this
 *   stack's tags, or by the inputs of the operation that was under way) and deleted, and the pending operations are cleared,
 *   so that the same command goes on without a duplicate. On AWS, where somebody else's stack may have the same name, nothing
 *   is deleted unless ORPHANS=delete says so.
 * - A machine was lost: the state has an instance that does not exist any more. The state is refreshed, so that the same
 *   command makes a new one. Likewise where machines have got other public addresses since, by a stop and a start.
 * @see https://www.pulumi.com/docs/support/troubleshooting/common-issues/interrupted-updates/
 */
import * as ec2 from "@aws-sdk/client-ec2";
import * as elb from "@aws-sdk/client-elastic-load-balancing-v2";
import { UserError } from "../../lib/errors";
import { project } from "../places";
import type { Deployment, Stack, StateResource } from "../stack";
import { stackConfig } from "../stack-config";

/** Something in the cloud that carries the stack's tags but is not in its state. */
export interface Orphan {
  /** EC2's resource type, such as instance or vpc. */
  readonly type: string;
  readonly id: string;
}

/** Order in which orphans can go: what depends on others first. */
const order = [
  "instance",
  "elastic-ip",
  "network-interface",
  "volume",
  "security-group-rule",
  "internet-gateway",
  "route-table",
  "subnet",
  "security-group",
  "vpc",
  "key-pair",
];

/**
 * Every text in what a deployment's resources are known to be. It holds every identifier that belongs to one of them: its own,
 * and those of what came with it, such as an instance's volume, which carries the stack's tags as well. Pure.
 */
export function knownIds(deployment: Deployment): Set<string> {
  const ids = new Set<string>();
  const collect = (value: unknown): void => {
    if (typeof value === "string") ids.add(value);
    else if (typeof value === "object" && value !== null) Object.values(value).forEach(collect);
  };
  for (const { id, outputs } of deployment.resources ?? []) collect([id, outputs]);
  return ids;
}

/** Orphans among what carries the stack's tags, in the order in which they can be deleted. Pure. */
export function orphans(tagged: readonly Orphan[], known: ReadonlySet<string>): Orphan[] {
  return tagged
    .filter(({ id, type }) => order.includes(type) && !known.has(id))
    .sort((a, b) => order.indexOf(a.type) - order.indexOf(b.type));
}

/** Instances of a deployment: the machine's name, the instance's id, and the public address that the state has. Pure. */
function instances(deployment: Deployment): { name: string; id: string; publicIp: unknown }[] {
  return (deployment.resources ?? []).flatMap(({ type, urn, id, outputs }) =>
    type === "aws:ec2/instance:Instance" && id !== undefined
      ? [{ name: urn.split("::").pop() ?? urn, id, publicIp: outputs?.["publicIp"] }]
      : [],
  );
}

/** Machines of a deployment that do not live any more, by name. Pure. */
export function lostMachines(deployment: Deployment, alive: Live): string[] {
  return instances(deployment).flatMap(({ name, id }) => (alive.has(id) ? [] : [name]));
}

/** Machines that have another public address than the state says, by name. Pure. */
export function movedMachines(deployment: Deployment, alive: Live): string[] {
  return instances(deployment).flatMap(({ name, id, publicIp }) =>
    alive.has(id) && (alive.get(id) ?? "") !== (publicIp ?? "") ? [name] : [],
  );
}

/** Live instances: id -> public address. */
type Live = ReadonlyMap<string, string | undefined>;

/** What carries a stack's tags and is in no state, in the order in which it can be deleted. */
export async function strays(stack: Stack): Promise<Orphan[]> {
  const cloud = new CloudOf(stack);
  return orphans(await cloud.tagged(await cloud.liveInstances()), knownIds(await stack.state()));
}

/** Brings a stack whose last operation was interrupted, or whose machines were lost, back to a state from which to go on. */
export async function recover(stack: Stack): Promise<void> {
  const deployment = await stack.state();
  // a local cloud is this checkout's own, and cheap to ask; a kill may come before an operation is noted down
  const mayHaveOrphans = stack.localPort !== undefined || (deployment.pending_operations ?? []).length > 0;
  if (!mayHaveOrphans && !instances(deployment).length) return;
  const cloud = new CloudOf(stack);
  const alive = await cloud.liveInstances();
  if (mayHaveOrphans) await undoInterrupted(stack, cloud, deployment, alive);
  const lost = lostMachines(deployment, alive);
  // machines of a local stack are dialled at their private addresses
  const moved = stack.localPort ? [] : movedMachines(deployment, alive);
  if (lost.length) console.log(`These machines are lost: ${lost.join(", ")}.`);
  if (moved.length) console.log(`These machines have other public addresses than before: ${moved.join(", ")}.`);
  if (!lost.length && !moved.length) return;
  console.log("Reading what really exists into the state.");
  await stack.refresh();
}

async function undoInterrupted(stack: Stack, cloud: CloudOf, deployment: Deployment, alive: Live): Promise<void> {
  const pending = deployment.pending_operations ?? [];
  const known = knownIds(deployment);
  if (pending.length)
    console.log(
      `The last run was interrupted in the middle of ${pending.length} operations: looking for what it left behind.`,
    );
  for (const operation of pending) if (operation.type === "creating") await cloud.undo(operation.resource, known);
  const found = orphans(await cloud.tagged(alive), known);
  if (found.length && !stack.localPort && process.env["ORPHANS"] !== "delete")
    throw new UserError(
      `These carry the tags of stack ${stack.name} and are in no state: ${found.map(({ id }) => id).join(", ")}.`,
      `Look at them. If nobody else has a stack of that name in this account and region, delete them and go on: ORPHANS=delete make up STACK=${stack.name}`,
    );
  for (const orphan of found) {
    console.log(`  deleting ${orphan.type} ${orphan.id}, which is in no state`);
    await ignoring(/NotFound/, cloud.remove(orphan));
  }
  if (pending.length) await stack.importState({ ...deployment, pending_operations: [] });
}

class CloudOf {
  private readonly ec2: ec2.EC2Client;
  private readonly elb: elb.ElasticLoadBalancingV2Client;

  constructor(private readonly stack: Stack) {
    const { region, awsEndpoint } = stackConfig(stack.name);
    const options = {
      ...(typeof region === "string" ? { region } : { region: "ap-southeast-1" }),
      ...(typeof awsEndpoint === "string"
        ? { endpoint: awsEndpoint, credentials: { accessKeyId: "local", secretAccessKey: "local" } }
        : {}),
    };
    this.ec2 = new ec2.EC2Client(options);
    this.elb = new elb.ElasticLoadBalancingV2Client(options);
  }

  /** What carries the tags that the program gives everything by default. */
  async tagged(alive: Live): Promise<Orphan[]> {
    const byTag = async (key: string, value: string): Promise<ec2.TagDescription[]> => {
      const found: ec2.TagDescription[] = [];
      for await (const page of ec2.paginateDescribeTags(
        { client: this.ec2 },
        {
          Filters: [
            { Name: "key", Values: [key] },
            { Name: "value", Values: [value] },
          ],
        },
      ))
        found.push(...(page.Tags ?? []));
      return found;
    };
    const [tagsOfProject, tagsOfStack] = await Promise.all([
      byTag("project", project),
      byTag("stack", this.stack.name),
    ]);
    const ofProject = new Set(tagsOfProject.map((tag) => tag.ResourceId));
    const ofStack = tagsOfStack.filter((tag) => ofProject.has(tag.ResourceId));
    return ofStack
      .map((tag) => ({ type: tag.ResourceType ?? "", id: tag.ResourceId ?? "" }))
      .filter(({ type, id }) => type !== "instance" || alive.has(id));
  }

  /** Undoes an operation whose result carries no tags, found by what it was asked to make. */
  async undo({ type, inputs = {} }: StateResource, known: ReadonlySet<string>): Promise<void> {
    const text = (key: string): string => String(inputs[key]);
    if (type === "aws:ec2/route:Route") {
      const destination = { RouteTableId: text("routeTableId"), DestinationCidrBlock: text("destinationCidrBlock") };
      await ignoring(/NoSuchRoute|InvalidRoute|NotFound/, this.ec2.send(new ec2.DeleteRouteCommand(destination)));
    } else if (type === "aws:ec2/routeTableAssociation:RouteTableAssociation") {
      const { RouteTables } = await this.ec2.send(
        new ec2.DescribeRouteTablesCommand({
          Filters: [{ Name: "association.subnet-id", Values: [text("subnetId")] }],
        }),
      );
      for (const association of RouteTables?.flatMap((table) => table.Associations ?? []) ?? [])
        if (association.SubnetId === inputs["subnetId"] && !association.Main)
          await this.ec2.send(
            new ec2.DisassociateRouteTableCommand({ AssociationId: association.RouteTableAssociationId }),
          );
    } else if (/^aws:vpc\/securityGroup(Ingress|Egress)Rule:/.test(type)) {
      // every rule of the stack's groups is Pulumi's: one that is in no state was being made
      const { SecurityGroupRules } = await this.ec2.send(
        new ec2.DescribeSecurityGroupRulesCommand({
          Filters: [{ Name: "group-id", Values: [text("securityGroupId")] }],
        }),
      );
      for (const { SecurityGroupRuleId: id = "" } of SecurityGroupRules ?? [])
        if (!known.has(id)) await this.removeRule(id);
    } else if (type === "aws:lb/listener:Listener") {
      const LoadBalancerArn = text("loadBalancerArn");
      const found = await ignoring(/NotFound/, this.elb.send(new elb.DescribeListenersCommand({ LoadBalancerArn })));
      for (const { ListenerArn, Port } of found?.Listeners ?? [])
        if (Port === inputs["port"]) await this.elb.send(new elb.DeleteListenerCommand({ ListenerArn }));
    } else if (type === "aws:lb/loadBalancer:LoadBalancer" || type === "aws:lb/targetGroup:TargetGroup") {
      await this.undoLoadBalancing(type, text("name"));
    }
  }

  private async undoLoadBalancing(type: string, name: string): Promise<void> {
    if (type.includes("LoadBalancer")) {
      const found = await ignoring(/NotFound/, this.elb.send(new elb.DescribeLoadBalancersCommand({ Names: [name] })));
      for (const { LoadBalancerArn } of found?.LoadBalancers ?? [])
        await this.elb.send(new elb.DeleteLoadBalancerCommand({ LoadBalancerArn }));
    } else {
      const found = await ignoring(/NotFound/, this.elb.send(new elb.DescribeTargetGroupsCommand({ Names: [name] })));
      for (const { TargetGroupArn } of found?.TargetGroups ?? [])
        await this.elb.send(new elb.DeleteTargetGroupCommand({ TargetGroupArn }));
    }
  }

  async remove({ type, id }: Orphan): Promise<void> {
    switch (type) {
      case "instance":
        await this.ec2.send(new ec2.TerminateInstancesCommand({ InstanceIds: [id] }));
        await ec2.waitUntilInstanceTerminated(
          { client: this.ec2, maxWaitTime: 300, minDelay: 1 },
          { InstanceIds: [id] },
        );
        return;
      case "elastic-ip":
        await this.ec2.send(new ec2.ReleaseAddressCommand({ AllocationId: id }));
        return;
      case "network-interface":
        await ignoring(/NotFound/, this.ec2.send(new ec2.DeleteNetworkInterfaceCommand({ NetworkInterfaceId: id })));
        return;
      case "volume":
        await ignoring(/NotFound/, this.ec2.send(new ec2.DeleteVolumeCommand({ VolumeId: id })));
        return;
      case "security-group-rule":
        return this.removeRule(id);
      case "internet-gateway":
        return this.removeGateway(id);
      case "route-table":
        await this.ec2.send(new ec2.DeleteRouteTableCommand({ RouteTableId: id }));
        return;
      case "subnet":
        await this.ec2.send(new ec2.DeleteSubnetCommand({ SubnetId: id }));
        return;
      case "security-group":
        // the VPC's default group goes with the VPC
        await ignoring(/CannotDelete/, this.ec2.send(new ec2.DeleteSecurityGroupCommand({ GroupId: id })));
        return;
      case "vpc":
        await this.ec2.send(new ec2.DeleteVpcCommand({ VpcId: id }));
        return;
      case "key-pair":
        await this.ec2.send(new ec2.DeleteKeyPairCommand({ KeyPairId: id }));
        return;
    }
  }

  private async removeRule(id: string): Promise<void> {
    const { SecurityGroupRules } = await this.ec2.send(
      new ec2.DescribeSecurityGroupRulesCommand({ SecurityGroupRuleIds: [id] }),
    );
    for (const rule of SecurityGroupRules ?? []) {
      const target = { GroupId: rule.GroupId, SecurityGroupRuleIds: [id] };
      await (rule.IsEgress
        ? this.ec2.send(new ec2.RevokeSecurityGroupEgressCommand(target))
        : this.ec2.send(new ec2.RevokeSecurityGroupIngressCommand(target)));
    }
  }

  private async removeGateway(id: string): Promise<void> {
    const { InternetGateways } = await this.ec2.send(
      new ec2.DescribeInternetGatewaysCommand({ InternetGatewayIds: [id] }),
    );
    for (const { VpcId } of InternetGateways?.flatMap((gateway) => gateway.Attachments ?? []) ?? [])
      await this.ec2.send(new ec2.DetachInternetGatewayCommand({ InternetGatewayId: id, VpcId }));
    await this.ec2.send(new ec2.DeleteInternetGatewayCommand({ InternetGatewayId: id }));
  }

  /** The instances that are neither terminated nor about to be. */
  async liveInstances(): Promise<Live> {
    const alive = new Map<string, string | undefined>();
    for await (const page of ec2.paginateDescribeInstances({ client: this.ec2 }, {}))
      for (const instance of page.Reservations?.flatMap((reservation) => reservation.Instances ?? []) ?? [])
        if (!["terminated", "shutting-down"].includes(instance.State?.Name ?? ""))
          alive.set(instance.InstanceId ?? "", instance.PublicIpAddress);
    return alive;
  }
}

async function ignoring<T>(pattern: RegExp, call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (pattern.test(`${(error as Error).name} ${(error as Error).message}`)) return undefined;
    throw error;
  }
}
