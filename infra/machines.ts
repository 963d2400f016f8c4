/** The machines: EC2 instances, each with its image, a fixed address, and a host key that is known in advance. */
import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import * as tls from "@pulumi/tls";
import type { SshKey } from "../cluster/config";
import type { Architecture } from "../cluster/instance-types";
import type { Machine } from "../cluster/shape";
import { type ClusterSpec, firstController } from "../cluster/spec";
import type { Network } from "./network";
import type { SecurityGroups } from "./security-groups";
import { renderUserData } from "./user-data";

/** Account that publishes Debian's images. https://wiki.debian.org/Cloud/AmazonEC2Image/Trixie */
const debian = "136693071363";

export interface MachinesArgs {
  readonly spec: ClusterSpec;
  readonly network: Network;
  readonly securityGroups: SecurityGroups;
  /** The user's own key, which every machine accepts in addition to the stack's key. */
  readonly sshKey?: SshKey;
  readonly generation: Generation;
  /** Undefined if no machine of the cluster exists yet, or all of them are replaced. */
  readonly restarts?: MachineRestarts;
}

/** What an update does about machines that exist and restart. Those that it creates, it creates at the same time. */
export interface MachineRestarts {
  /** Whether the machine is updated only once those before it have been. */
  isInTurn(machine: Machine): boolean;
  /** Surrounds an update of its instance. @param stackKey the stack's private SSH key. */
  hooks(machine: Machine, stackKey: pulumi.Output<string>): NonNullable<pulumi.ResourceOptions["hooks"]>;
  /** Takes note of the address to dial for SSH. */
  isAt(machine: Machine, sshHost: string): void;
}

/** Machines of a former generation are replaced. */
export interface Generation {
  readonly number: string;
  /** Whether this update begins it. */
  readonly isNew: boolean;
}

/** A machine that exists. */
export interface RunningMachine {
  readonly machine: Machine;
  readonly instance: aws.ec2.Instance;
  /** Public key of its SSH server, in OpenSSH's one-line form. */
  readonly hostKey: pulumi.Output<string>;
  /** Address to dial for SSH: public or private, depending on adminAccess. */
  readonly sshHost: pulumi.Output<string>;
  readonly publicIp: pulumi.Output<string>;
}

export class Machines extends pulumi.ComponentResource {
  /** In the order of the spec. */
  readonly all: readonly RunningMachine[];
  /** The user's private key: their own, or else the stack's. */
  readonly privateKey: pulumi.Output<string>;
  /** The stack's private key. It never changes, so that the user's key can. */
  readonly stackKey: pulumi.Output<string>;
  /** The public keys that every machine accepts, one per line. */
  readonly authorizedKeys: pulumi.Output<string>;

  constructor(name: string, args: MachinesArgs, options?: pulumi.ComponentResourceOptions) {
    super("lab:infra:Machines", name, {}, options);
    const { spec } = args;
    const stackKey = this.createStackKey();
    this.stackKey = pulumi.secret(stackKey.privateKey);
    this.privateKey = pulumi.secret(args.sshKey?.privateKey ?? stackKey.privateKey);
    this.authorizedKeys = stackKey.publicKey.apply(
      (key) => `${key}\n${args.sshKey ? `${args.sshKey.publicKey}\n` : ""}`,
    );
    const publicKey = args.sshKey?.publicKey ?? stackKey.publicKey;
    const keyPair = new aws.ec2.KeyPair("ssh", { publicKey }, { parent: this });
    const image = this.images();

    let updated: Promise<unknown> = Promise.resolve();
    this.all = spec.machines.map((machine): RunningMachine => {
      const hostKey = new tls.PrivateKey(
        `${machine.name}-host`,
        { algorithm: "ED25519" },
        { parent: this, replacementTrigger: args.generation.number },
      );
      // A promise, not a dependency, because dependencies are recorded and would put deletions in order as well.
      const turn = args.restarts?.isInTurn(machine) && !pulumi.runtime.isDryRun() ? updated : undefined;
      const instance = this.instance(
        machine,
        args,
        keyPair,
        image(machine.architecture),
        hostKey,
        stackKey.publicKey,
        turn,
      );
      if (machine.podCidr) args.network.routePods(machine, machine.podCidr, instance);
      const publicIp = machine === holder(spec) ? this.associate(args.network.elasticIp, instance) : instance.publicIp;
      const sshHost = spec.adminAccess === "private" ? pulumi.output(machine.privateIp) : publicIp;
      if (turn)
        updated = new Promise<void>((resolve) => {
          pulumi.all([sshHost, instance.id]).apply(([address]) => {
            args.restarts?.isAt(machine, address);
            resolve();
          });
        });
      return { machine, instance, hostKey: hostKey.publicKeyOpenssh.apply((key) => key.trim()), sshHost, publicIp };
    });
    this.registerOutputs();
  }

  /** The running machine of this name. @throws if there is none. */
  get(name: string): RunningMachine {
    const found = this.all.find(({ machine }) => machine.name === name);
    if (!found) throw new Error(`there is no machine ${name}`);
    return found;
  }

  private instance(
    machine: Machine,
    { spec, network, securityGroups, generation, restarts }: MachinesArgs,
    keyPair: aws.ec2.KeyPair,
    ami: pulumi.Output<string>,
    hostKey: tls.PrivateKey,
    stackKey: pulumi.Output<string>,
    turn: Promise<unknown> | undefined,
  ): aws.ec2.Instance {
    const userData = pulumi
      .all([hostKey.privateKeyOpenssh, hostKey.publicKeyOpenssh, stackKey])
      .apply(([privateKey, publicKey, authorizedKey]) =>
        renderUserData({ hostname: machine.name, privateKey, publicKey, authorizedKey }),
      );
    return new aws.ec2.Instance(
      machine.name,
      {
        ami,
        instanceType: turn ? pulumi.output(turn.then(() => machine.instanceType)) : machine.instanceType,
        subnetId: network.subnetIds[machine.zone] as pulumi.Output<string>,
        privateIp: machine.privateIp,
        // Requested per machine, not per subnet, because the provider waits ten seconds for the subnet's attribute.
        associatePublicIpAddress: true,
        vpcSecurityGroupIds: [securityGroups.id(machine.role)],
        keyName: keyPair.keyName,
        // A node forwards its pods' packets, whose addresses are not its own.
        sourceDestCheck: machine.podCidr === undefined,
        // Pods are one hop further away, so a limit of one keeps them from reading the user data and the host key in it.
        metadataOptions: { httpEndpoint: "enabled", httpTokens: "required", httpPutResponseHopLimit: 1 },
        rootBlockDevice: {
          volumeType: "gp3",
          volumeSize: spec.rootVolumeGiB,
          encrypted: true,
          deleteOnTermination: true,
        },
        userDataBase64: pulumi.secret(userData.apply((text) => Buffer.from(text).toString("base64"))),
        tags: { Name: machine.name, role: machine.role },
      },
      {
        parent: this,
        dependsOn: network.internet,
        // Never replace a machine because a newer image exists, the user data was reworded, the user's SSH key is another
        // one (the step `machine` authorizes it), or it has no public address while it is stopped.
        ignoreChanges: ["userDataBase64", "associatePublicIpAddress", "keyName", ...(generation.isNew ? [] : ["ami"])],
        replacementTrigger: hostKey.publicKeyOpenssh,
        // Its successor takes the same private address.
        deleteBeforeReplace: true,
        hooks: restarts?.hooks(machine, this.stackKey),
      },
    );
  }

  private createStackKey(): { publicKey: pulumi.Output<string>; privateKey: pulumi.Output<string> } {
    const key = new tls.PrivateKey("ssh", { algorithm: "ED25519" }, { parent: this });
    return { publicKey: key.publicKeyOpenssh.apply((text) => text.trim()), privateKey: key.privateKeyOpenssh };
  }

  /** The newest Debian 13 image for an architecture, looked up once per architecture. */
  private images(): (architecture: Architecture) => pulumi.Output<string> {
    const found = new Map<Architecture, pulumi.Output<string>>();
    return (architecture) => {
      const known = found.get(architecture);
      if (known) return known;
      const image = aws.ec2.getAmiOutput(
        {
          owners: [debian],
          mostRecent: true,
          filters: [
            { name: "name", values: [`debian-13-${architecture}-*`] },
            { name: "state", values: ["available"] },
          ],
        },
        { parent: this },
      ).id;
      found.set(architecture, image);
      return image;
    };
  }

  /** Associates the Elastic IP with an instance, and returns it once AWS has replaced the instance's former address. */
  private associate(elasticIp: aws.ec2.Eip, instance: aws.ec2.Instance): pulumi.Output<string> {
    const association = new aws.ec2.EipAssociation(
      "api",
      // The address moves to the machine's successor, or between HAProxy and the first control-plane node, without a gap.
      { allocationId: elasticIp.allocationId, instanceId: instance.id, allowReassociation: true },
      { parent: this },
    );
    return association.publicIp;
  }
}

/** The machine that holds the Elastic IP: the balancer if the cluster has one, otherwise the first control-plane node. */
export const holder = (spec: ClusterSpec): Machine => spec.balancer ?? firstController(spec);
