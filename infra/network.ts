/** The network: a VPC with a subnet per zone, an internet gateway, and a route to every node's pods. */
import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { Machine } from "../cluster/shape";
import type { ClusterSpec } from "../cluster/spec";

export interface NetworkArgs {
  readonly spec: ClusterSpec;
}

export class Network extends pulumi.ComponentResource {
  readonly vpcId: pulumi.Output<string>;
  /** A subnet per zone, in the order of the zones. */
  readonly subnetIds: readonly pulumi.Output<string>[];
  /** The cluster's public address. It outlives the machine that holds it, and a change of the API endpoint. */
  readonly elasticIp: aws.ec2.Eip;
  /** The route to the internet. A machine that starts before it exists cannot download anything. */
  readonly internet: aws.ec2.Route;
  private readonly routeTable: aws.ec2.RouteTable;

  constructor(name: string, { spec }: NetworkArgs, options?: pulumi.ComponentResourceOptions) {
    super("lab:infra:Network", name, {}, options);
    const tags = (what: string) => ({ Name: `${spec.clusterName}-${what}` });

    const vpc = new aws.ec2.Vpc(
      "vpc",
      { cidrBlock: spec.vpcCidr, enableDnsSupport: true, enableDnsHostnames: true, tags: { Name: spec.clusterName } },
      { parent: this },
    );
    this.vpcId = vpc.id;

    const gateway = new aws.ec2.InternetGateway(
      "internet",
      { vpcId: vpc.id, tags: tags("internet") },
      { parent: this },
    );
    this.routeTable = new aws.ec2.RouteTable("routes", { vpcId: vpc.id, tags: tags("routes") }, { parent: this });
    this.internet = new aws.ec2.Route(
      "internet",
      { routeTableId: this.routeTable.id, destinationCidrBlock: "0.0.0.0/0", gatewayId: gateway.id },
      { parent: this },
    );

    const zones = availabilityZones(spec, { parent: this });
    this.subnetIds = spec.subnetCidrs.map((cidrBlock, zone) => {
      const subnet = new aws.ec2.Subnet(
        `subnet-${zone}`,
        {
          vpcId: vpc.id,
          cidrBlock,
          availabilityZone: zones.apply((names) => names[zone] as string),
          tags: tags(`subnet-${zone}`),
        },
        // A zone that AWS adds or renames later must not move a subnet that has machines in it.
        { parent: this, ignoreChanges: ["availabilityZone"] },
      );
      new aws.ec2.RouteTableAssociation(
        `subnet-${zone}`,
        { subnetId: subnet.id, routeTableId: this.routeTable.id },
        { parent: this },
      );
      return subnet.id;
    });

    // Anything created without a group gets the VPC's default group, which must not allow any traffic.
    new aws.ec2.DefaultSecurityGroup(
      "default",
      { vpcId: vpc.id, ingress: [], egress: [], tags: tags("default") },
      { parent: this },
    );
    this.elasticIp = new aws.ec2.Eip("api", { domain: "vpc", tags: tags("api") }, { parent: this, dependsOn: gateway });
    this.registerOutputs({ vpcId: this.vpcId });
  }

  /** Routes a node's slice of the pod network to its machine. */
  routePods(machine: Machine, podCidr: string, instance: aws.ec2.Instance): void {
    new aws.ec2.Route(
      `pods-${machine.name}`,
      {
        routeTableId: this.routeTable.id,
        destinationCidrBlock: podCidr,
        networkInterfaceId: instance.primaryNetworkInterfaceId,
      },
      { parent: this },
    );
  }
}

/** Names of the region's zones in alphabetical order. */
function availabilityZones(spec: ClusterSpec, options: pulumi.InvokeOptions): pulumi.Output<string[]> {
  const found = aws.getAvailabilityZonesOutput(
    { state: "available", filters: [{ name: "zone-type", values: ["availability-zone"] }] },
    options,
  );
  return found.names.apply((names) => {
    if (names.length < spec.zones)
      throw new pulumi.RunError(
        `Region ${spec.region} offers this account ${names.length} availability zones, but zones is ${spec.zones}. ` +
          `Choose another region, or set zones to 1.`,
      );
    return [...names].sort();
  });
}
