/**
 * Undoes operations that were under way when the engine was killed and whose results cannot be found by EC2's tags. They
 * are found by the operation's inputs instead.
 */
import * as ec2 from "@aws-sdk/client-ec2";
import * as elb from "@aws-sdk/client-elastic-load-balancing-v2";
import type { StateResource } from "../pulumi";
import { type Clients, ignoring, revokeRule } from "./cloud";

type Undo = (clients: Clients, input: (key: string) => string, known: ReadonlySet<string>) => Promise<unknown>;

const undoings: Readonly<Record<string, Undo>> = {
  "aws:ec2/route:Route": deleteRoute,
  "aws:ec2/routeTableAssociation:RouteTableAssociation": disassociate,
  "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": revokeUnknownRules,
  "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": revokeUnknownRules,
  "aws:lb/listener:Listener": deleteListener,
  "aws:lb/loadBalancer:LoadBalancer": deleteLoadBalancer,
  "aws:lb/targetGroup:TargetGroup": deleteTargetGroup,
};

/** @param known every identifier in the state. */
export async function undo(clients: Clients, resource: StateResource, known: ReadonlySet<string>): Promise<void> {
  await undoings[resource.type]?.(clients, (key) => String(resource.inputs?.[key]), known);
}

async function deleteRoute({ ec2: client }: Clients, input: (key: string) => string): Promise<void> {
  const route = { RouteTableId: input("routeTableId"), DestinationCidrBlock: input("destinationCidrBlock") };
  await ignoring(/NoSuchRoute|InvalidRoute|NotFound/, client.send(new ec2.DeleteRouteCommand(route)));
}

async function disassociate({ ec2: client }: Clients, input: (key: string) => string): Promise<void> {
  const filters = [{ Name: "association.subnet-id", Values: [input("subnetId")] }];
  const { RouteTables } = await client.send(new ec2.DescribeRouteTablesCommand({ Filters: filters }));
  for (const association of RouteTables?.flatMap((table) => table.Associations ?? []) ?? [])
    if (association.SubnetId === input("subnetId") && !association.Main)
      await client.send(new ec2.DisassociateRouteTableCommand({ AssociationId: association.RouteTableAssociationId }));
}

/** All rules of the stack's groups are Pulumi's, so a rule that is not in the state was being created. */
async function revokeUnknownRules(
  { ec2: client }: Clients,
  input: (key: string) => string,
  known: ReadonlySet<string>,
): Promise<void> {
  const filters = [{ Name: "group-id", Values: [input("securityGroupId")] }];
  const { SecurityGroupRules } = await client.send(new ec2.DescribeSecurityGroupRulesCommand({ Filters: filters }));
  for (const { SecurityGroupRuleId: id = "" } of SecurityGroupRules ?? [])
    if (!known.has(id)) await revokeRule(client, id);
}

async function deleteListener({ elb: client }: Clients, input: (key: string) => string): Promise<void> {
  const LoadBalancerArn = input("loadBalancerArn");
  const found = await ignoring(/NotFound/, client.send(new elb.DescribeListenersCommand({ LoadBalancerArn })));
  for (const { ListenerArn, Port } of found?.Listeners ?? [])
    if (String(Port) === input("port")) await client.send(new elb.DeleteListenerCommand({ ListenerArn }));
}

async function deleteLoadBalancer({ elb: client }: Clients, input: (key: string) => string): Promise<void> {
  const Names = [input("name")];
  const found = await ignoring(/NotFound/, client.send(new elb.DescribeLoadBalancersCommand({ Names })));
  for (const { LoadBalancerArn } of found?.LoadBalancers ?? [])
    await client.send(new elb.DeleteLoadBalancerCommand({ LoadBalancerArn }));
}

async function deleteTargetGroup({ elb: client }: Clients, input: (key: string) => string): Promise<void> {
  const Names = [input("name")];
  const found = await ignoring(/NotFound/, client.send(new elb.DescribeTargetGroupsCommand({ Names })));
  for (const { TargetGroupArn } of found?.TargetGroups ?? [])
    await client.send(new elb.DeleteTargetGroupCommand({ TargetGroupArn }));
}
