/** Runs the steps of the bootstrap on the machines, over SSH: the only remote commands of the program. */
import { remote } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { FactKey, MaterialKey } from "../cluster/material";
import { type MachineName, sshUser } from "../cluster/shape";
import type { ClusterSpec } from "../cluster/spec";
import type { Machines, RunningMachine } from "../infra/machines";
import type { Pki } from "../infra/pki";
import { type InputKey, inputKeys, renderCommand, renderStdin } from "./render";
import type { Step, StepId } from "./step";
import { steps } from "./steps";

export interface BootstrapArgs {
  readonly spec: ClusterSpec;
  readonly machines: Machines;
  readonly pki: Pki;
  readonly access: MachineAccess;
}

/** How machines are reached that do not accept the stack's SSH key yet. */
export interface MachineAccess {
  /** Private key that a machine accepted when its last update ended, by machine. The step `machine` authorizes the stack's. */
  readonly formerly: Readonly<Partial<Record<string, pulumi.Input<string>>>>;
}

export class Bootstrap extends pulumi.ComponentResource {
  /** The line with which each step proved that it worked, by <step>@<machine>. */
  readonly proofs: pulumi.Output<Record<string, string>>;

  constructor(
    name: string,
    private readonly args: BootstrapArgs,
    options?: pulumi.ComponentResourceOptions,
  ) {
    super("lab:bootstrap:Bootstrap", name, {}, options);
    const commands = new Map<StepId, remote.Command>();
    for (const step of steps(args.spec)) {
      const after = step.after.map((id) => {
        const command = commands.get(id);
        if (!command) throw new Error(`${step.id} runs after ${id}, which is not listed before it`);
        return command;
      });
      commands.set(step.id, this.command(step, after));
    }
    this.proofs = pulumi.output(Object.fromEntries([...commands].map(([id, { stdout }]) => [id, stdout])));
    this.registerOutputs();
  }

  /** A step on its machine. If its text changes, it runs again; a new instance gets a new command. */
  private command(step: Step, after: readonly remote.Command[]): remote.Command {
    const { machines, access } = this.args;
    const { instance, hostKey, sshHost }: RunningMachine = machines.get(step.machine.name);
    const inputs = Object.fromEntries(inputKeys(step).map((key) => [key, this.input(key)]));
    return new remote.Command(
      step.id,
      {
        connection: {
          host: sshHost,
          user: sshUser,
          privateKey: (step.name === "machine" && access.formerly[step.machine.name]) || machines.stackKey,
          hostKey,
          // After "running", it can take minutes until sshd first responds; the delay between two dials is at most 5 s.
          dialErrorLimit: 60,
          perDialTimeout: 15,
        },
        create: renderCommand(step),
        // Secrets, and values known only after creation, are passed here, so that every preview can show `create`.
        stdin: pulumi.secret(pulumi.all(inputs).apply((values) => renderStdin(step, values))),
        triggers: [instance.id],
        logging: "none",
        addPreviousOutputInEnv: false,
      },
      {
        parent: this,
        aliases: step.formerId === undefined ? [] : [{ name: step.formerId }],
        dependsOn: [...after],
        // There is nothing to undo on a machine that is deleted, and no way to reach one that is lost.
        deletedWith: instance,
        customTimeouts: { create: "20m", update: "20m" },
      },
    );
  }

  private input(key: InputKey): pulumi.Output<string> {
    return isFact(key) ? this.fact(key) : this.args.pki.material(key);
  }

  private fact(key: FactKey): pulumi.Output<string> {
    const { spec, machines } = this.args;
    if (key === "authorized-keys") return machines.authorizedKeys;
    if (key === "instances")
      return pulumi
        .all(spec.nodes.map(({ name }) => pulumi.interpolate`${name} ${machines.get(name).instance.id}\n`))
        .apply((lines) => lines.join(""));
    const [, name, what] = key.split("/") as ["instance", MachineName, "id" | "zone"];
    const { instance } = machines.get(name);
    return what === "id" ? instance.id : instance.availabilityZone;
  }
}

const isFact = (key: InputKey): key is Exclude<FactKey, MaterialKey> =>
  /^(instances?(\/|$)|authorized-keys$)/.test(key);
