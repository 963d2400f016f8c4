/** The security groups, with the rules of cluster/traffic.ts. */
import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { ClusterSpec } from "../cluster/spec";
import type { Network } from "./network";
import { type Group, groups, type TrafficRule, trafficRules } from "../cluster/traffic";

export interface SecurityGroupsArgs {
  readonly spec: ClusterSpec;
  readonly network: Network;
}

/** A rule's protocol and ports in the terms of EC2, which knows SCTP by its number, and has no ports for it. */
function traffic({ protocol, ports }: Pick<TrafficRule, "protocol" | "ports">) {
  if (protocol === undefined) return { ipProtocol: "-1" };
  const hasPorts = protocol === "tcp" || protocol === "udp";
  const [fromPort, toPort] = ports ?? (hasPorts ? [0, 65535] : [-1, -1]); // -1: every type and code of ICMP
  return { ipProtocol: protocol === "sctp" ? "132" : protocol, fromPort, toPort };
}

export class SecurityGroups extends pulumi.ComponentResource {
  private readonly groups: ReadonlyMap<Group, aws.ec2.SecurityGroup>;

  constructor(name: string, { spec, network }: SecurityGroupsArgs, options?: pulumi.ComponentResourceOptions) {
    super("lab:infra:SecurityGroups", name, {}, options);
    // Pulumi generates the names, so that a group left behind by an interrupted run does not get in the way of the next.
    this.groups = new Map(
      groups(spec).map((group) => [
        group,
        new aws.ec2.SecurityGroup(
          group,
          {
            vpcId: network.vpcId,
            description: `${group} of ${spec.clusterName}`,
            revokeRulesOnDelete: true,
            tags: { Name: `${spec.clusterName}-${group}` },
          },
          { parent: this },
        ),
      ]),
    );
    for (const rule of trafficRules(spec)) this.rule(rule);
    this.registerOutputs();
  }

  /** Id of a group. @throws if a cluster of this shape does not have it. */
  id(group: Group): pulumi.Output<string> {
    const found = this.groups.get(group);
    if (!found) throw new Error(`there is no security group ${group}`);
    return found.id;
  }

  private rule({ group, direction, name, peer, ...what }: TrafficRule): void {
    const args = {
      securityGroupId: this.id(group),
      description: name,
      ...traffic(what),
      ...("group" in peer ? { referencedSecurityGroupId: this.id(peer.group) } : { cidrIpv4: peer.cidr }),
      tags: { Name: `${group}-${name}` },
    };
    const Rule = direction === "ingress" ? aws.vpc.SecurityGroupIngressRule : aws.vpc.SecurityGroupEgressRule;
    // AWS refuses a rule that equals an existing one, so the old rule has to go first.
    new Rule(`${group}-${name}`, args, { parent: this, deleteBeforeReplace: true });
  }
}
