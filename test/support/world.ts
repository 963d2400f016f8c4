/** A local cloud for tests, used as any program would use it, through the EC2 API and SSH. */
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import {
  AuthorizeSecurityGroupEgressCommand,
  AuthorizeSecurityGroupIngressCommand,
  CreateSecurityGroupCommand,
  CreateSubnetCommand,
  CreateVpcCommand,
  DescribeInstancesCommand,
  EC2Client,
  ImportKeyPairCommand,
  IpPermission,
  RevokeSecurityGroupEgressCommand,
  RunInstancesCommand,
} from "@aws-sdk/client-ec2";
import { ElasticLoadBalancingV2Client } from "@aws-sdk/client-elastic-load-balancing-v2";
import { utils } from "ssh2";
import { Cloud, apiEndpoint, cloudDown, cloudStatus, cloudUp, engineOf } from "../../cloud";
import { findEngine } from "../../cloud/container-engine";
import { addressIn } from "../../cloud/hypervisor/addresses";
import { cloudsDir } from "../../tools/places";
import { Outcome, runOverSsh } from "./ssh";

export const REGION = "ap-southeast-1";
const IMAGE = "ami-0d13a9d64deb1300a";

/** Names of the clouds that this run has started. */
const up = new Set<string>();

/** A VPC with one subnet, a key, and a security group that admits SSH from the gateway, because the tests run there. */
export class World {
  readonly ec2: EC2Client;
  readonly balancing: ElasticLoadBalancingV2Client;
  readonly key = newKey();
  vpcId = "";
  subnetId = "";
  keyName = "";
  ssh = "";

  private constructor(
    public cloud: Cloud,
    readonly cidr: string,
  ) {
    const credentials = { accessKeyId: "test", secretAccessKey: "test" };
    const options = { region: REGION, endpoint: apiEndpoint(cloud), credentials };
    this.ec2 = new EC2Client(options);
    this.balancing = new ElasticLoadBalancingV2Client(options);
  }

  /** Starts the cloud and creates the VPC, a.b.0.0/16 with a subnet a.b.1.0/24. */
  static async up(
    name: string,
    port: number,
    cidr: string,
    releasesDir?: string,
    stateRoot = cloudsDir,
  ): Promise<World> {
    const ref = { name, port, stateRoot };
    if (!up.has(name)) await cloudDown({ ...ref, removeAbandoned: true }); // what an interrupted run has left
    up.add(name);
    const world = new World(await cloudUp({ ...ref, ...(releasesDir ? { releasesDir } : {}) }), cidr);
    await world.network();
    return world;
  }

  async network(): Promise<void> {
    const { ec2 } = this;
    const vpc = await ec2.send(new CreateVpcCommand({ CidrBlock: this.cidr }));
    this.vpcId = vpc.Vpc!.VpcId!;
    const block = `${addressIn(this.cidr, 256)}/24`;
    const zone = `${REGION}a`;
    const subnet = await ec2.send(
      new CreateSubnetCommand({ VpcId: this.vpcId, CidrBlock: block, AvailabilityZone: zone }),
    );
    this.subnetId = subnet.Subnet!.SubnetId!;
    this.keyName = `key-${this.vpcId}`;
    const material = Buffer.from(this.key.public);
    await ec2.send(new ImportKeyPairCommand({ KeyName: this.keyName, PublicKeyMaterial: material }));
    this.ssh = await this.group("ssh");
    await this.allow(this.ssh, {
      IpProtocol: "tcp",
      FromPort: 22,
      ToPort: 22,
      IpRanges: [{ CidrIp: `${this.gateway}/32` }],
    });
  }

  get gateway(): string {
    return addressIn(this.cidr, 1);
  }

  /** The address with this host part in the subnet. */
  address(host: number): string {
    return addressIn(this.cidr, 256 + host);
  }

  /** Creates a security group without ingress rules; its egress is open, as on EC2. */
  async group(name: string): Promise<string> {
    const command = new CreateSecurityGroupCommand({ GroupName: name, Description: name, VpcId: this.vpcId });
    return (await this.ec2.send(command)).GroupId!;
  }

  async allow(GroupId: string, ...IpPermissions: IpPermission[]): Promise<void> {
    await this.ec2.send(new AuthorizeSecurityGroupIngressCommand({ GroupId, IpPermissions }));
  }

  /** Limits a group's egress to these permissions. */
  async onlyEgress(GroupId: string, ...permissions: IpPermission[]): Promise<void> {
    const all: IpPermission = { IpProtocol: "-1", IpRanges: [{ CidrIp: "0.0.0.0/0" }] };
    await this.ec2.send(new RevokeSecurityGroupEgressCommand({ GroupId, IpPermissions: [all] }));
    if (permissions.length === 0) return;
    await this.ec2.send(new AuthorizeSecurityGroupEgressCommand({ GroupId, IpPermissions: permissions }));
  }

  /** Starts an instance at an address in the subnet, and returns its id. */
  async launch(host: number, options: { groups?: string[]; userData?: string; name?: string } = {}): Promise<string> {
    const command = new RunInstancesCommand({
      ImageId: IMAGE,
      MinCount: 1,
      MaxCount: 1,
      InstanceType: "t3.medium",
      SubnetId: this.subnetId,
      PrivateIpAddress: this.address(host),
      KeyName: this.keyName,
      SecurityGroupIds: options.groups ?? [this.ssh],
      UserData: Buffer.from(options.userData ?? "#cloud-config\n").toString("base64"),
      TagSpecifications: [{ ResourceType: "instance", Tags: [{ Key: "Name", Value: options.name ?? `host-${host}` }] }],
    });
    return (await this.ec2.send(command)).Instances![0]!.InstanceId!;
  }

  async state(id: string): Promise<string> {
    const { Reservations } = await this.ec2.send(new DescribeInstancesCommand({ InstanceIds: [id] }));
    return Reservations![0]!.Instances![0]!.State!.Name!;
  }

  /** Waits until the hypervisor has caught up with the API's state. */
  async settled(): Promise<void> {
    await eventually(async () => {
      const { settled } = await cloudStatus(this.cloud);
      return settled || undefined;
    }, "the hypervisor to settle");
  }

  /** Waits until the machines with these host parts accept SSH. */
  async reachable(...hosts: number[]): Promise<void> {
    await this.settled(); // without the network, packets would leave the host
    for (const host of hosts) {
      await eventually(
        () =>
          this.run(host, "true").then(
            () => true,
            () => undefined,
          ),
        `SSH on ${this.address(host)}`,
      );
    }
  }

  /** Runs a command on a machine as user admin. Rejects unless the command ran to its end, whatever its exit code. */
  run(host: number, command: string, privateKey = this.key.private): Promise<Outcome> {
    return runOverSsh({ host: this.address(host), privateKey }, command);
  }

  /** Identifies the current boot of the machine. Rejects if a shutdown cuts the command short. */
  async boot(host: number): Promise<string> {
    const { exitCode, stdout } = await this.run(host, "cut -d' ' -f22 /proc/1/stat");
    if (exitCode !== 0) throw new Error(`reading the boot of ${this.address(host)} failed with exit code ${exitCode}`);
    return stdout;
  }

  /** Waits until the machine runs in a boot other than this one. */
  async bootedAgain(host: number, before: string): Promise<void> {
    const another = async (): Promise<true | undefined> => (await this.boot(host)) !== before || undefined;
    await eventually(() => another().catch(() => undefined), `another boot of ${this.address(host)}`);
  }

  /** Whether a TCP connection from one machine to another can be opened within a second. */
  async opens(from: number, address: string, port: number): Promise<boolean> {
    const { exitCode } = await this.run(from, `nc -z -w 1 ${address} ${port}`);
    return exitCode === 0;
  }

  /** Whether a TCP connection from the gateway can be opened within a second. */
  opensFromGateway(host: number, port: number): Promise<boolean> {
    return new Promise((done) => {
      const socket = connect({ host: this.address(host), port });
      const end = (open: boolean): void => (socket.destroy(), done(open));
      socket.setTimeout(1_000, () => end(false));
      socket.once("connect", () => end(true));
      socket.once("error", () => end(false));
    });
  }

  /** Starts a web server on the machine that serves the text. */
  async serve(host: number, port: number, text: string): Promise<void> {
    const script = `mkdir -p /srv/${port} && cd /srv/${port} && echo ${text} > index.html && exec python3 -m http.server ${port}`;
    await this.run(host, `sudo systemd-run --quiet --unit serve-${port} sh -c '${script}'`);
    await eventually(async () => (await this.opens(host, "127.0.0.1", port)) || undefined, `port ${port} of ${host}`);
  }

  async down(): Promise<void> {
    await cloudDown(this.cloud);
  }

  async docker(): Promise<import("dockerode")> {
    return (await findEngine(engineOf(this.cloud)))!.docker;
  }
}

/** Length of a public key in OpenSSH's format, in bytes: the type and the key, each after its length. */
const ED25519_BLOB = 4 + "ssh-ed25519".length + 4 + 32;

/** Generates an SSH key pair, in OpenSSH's formats. */
export function newKey(): { private: string; public: string } {
  for (;;) {
    const pair = utils.generateKeyPairSync("ed25519");
    // ssh2 drops a leading zero byte of the public key, which makes 1 key in 200 invalid. Such a key is generated again.
    const blob = Buffer.from(pair.public.split(" ")[1]!, "base64");
    if (blob.length === ED25519_BLOB) return { private: pair.private, public: pair.public };
  }
}

/** Polls every 200 ms until the probe returns something, for a minute by default. */
export async function eventually<T>(probe: () => Promise<T | undefined>, what: string, timeout = 60_000): Promise<T> {
  const deadline = Date.now() + timeout;
  for (;;) {
    const answer = await probe();
    if (answer !== undefined) return answer;
    if (Date.now() > deadline) throw new Error(`timed out after ${timeout / 1000} s waiting for ${what}`);
    await sleep(200);
  }
}
