/** What the administrator's kubeconfig points at: the Elastic IP, a network load balancer, or the HAProxy machine. */
import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { ClusterSpec } from "../cluster/spec";
import { holder, type Machines } from "./machines";
import type { Network } from "./network";
import type { SecurityGroups } from "./security-groups";

export interface ApiEndpointArgs {
  readonly spec: ClusterSpec;
  readonly network: Network;
  readonly securityGroups: SecurityGroups;
  readonly machines: Machines;
}

const port = 6443;

export class ApiEndpoint extends pulumi.ComponentResource {
  /** Such as https://203.0.113.7:6443. No node depends on it: nodes use the private addresses of the control plane. */
  readonly url: pulumi.Output<string>;

  constructor(name: string, args: ApiEndpointArgs, options?: pulumi.ComponentResourceOptions) {
    super("lab:infra:ApiEndpoint", name, {}, options);
    const { spec, machines } = args;
    const host = spec.apiEndpoint === "nlb" ? this.loadBalancer(args) : machines.get(holder(spec).name).sshHost;
    this.url = pulumi.interpolate`https://${host}:${port}`;
    this.registerOutputs({ url: this.url });
  }

  private loadBalancer({ spec, network, securityGroups, machines }: ApiEndpointArgs): pulumi.Output<string> {
    const internal = spec.adminAccess === "private";
    const tags = { Name: `${spec.clusterName}-api` };
    const balancer = new aws.lb.LoadBalancer(
      "api",
      {
        loadBalancerType: "network",
        internal,
        // If a zone loses its control-plane node, those of the other zones serve it.
        enableCrossZoneLoadBalancing: true,
        securityGroups: [securityGroups.id("load-balancer")],
        subnetMappings: network.subnetIds.map((subnetId, zone) => ({
          subnetId,
          ...(internal ? { privateIpv4Address: spec.loadBalancerAddresses[zone] } : {}),
        })),
        tags,
      },
      // AWS refuses an internet-facing load balancer in a VPC without an internet gateway.
      { parent: this, dependsOn: network.internet },
    );
    const targets = new aws.lb.TargetGroup(
      "api",
      {
        vpcId: network.vpcId,
        port,
        protocol: "TCP",
        targetType: "instance",
        // Otherwise a control-plane node that reaches itself through the balancer would see replies from its own address and hang.
        preserveClientIp: "false",
        deregistrationDelay: 15,
        healthCheck: {
          protocol: "HTTPS",
          path: "/readyz",
          port: `${port}`,
          interval: 10,
          healthyThreshold: 2,
          unhealthyThreshold: 2,
        },
        tags,
      },
      { parent: this },
    );
    for (const { name } of spec.controllers)
      new aws.lb.TargetGroupAttachment(
        name,
        { targetGroupArn: targets.arn, targetId: machines.get(name).instance.id, port },
        { parent: this },
      );
    new aws.lb.Listener(
      "api",
      {
        loadBalancerArn: balancer.arn,
        port,
        protocol: "TCP",
        defaultActions: [{ type: "forward", targetGroupArn: targets.arn }],
        tags,
      },
      { parent: this, deleteBeforeReplace: true },
    );
    return balancer.dnsName;
  }
}
