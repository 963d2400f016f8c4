/** Runs the steps of the bootstrap on the machines, over SSH: the only remote commands of the project. */
import { remote } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { ClusterSpec } from "../cluster/spec";
import { type Machines, type RunningMachine, sshUser } from "../infra/machines";
import type { Pki } from "../infra/pki";
import { materialKeys, renderCommand, renderStdin } from "./render";
import { type Step, stepId } from "./step";
import { steps } from "./steps";

export interface BootstrapArgs {
  readonly spec: ClusterSpec;
  readonly machines: Machines;
  readonly pki: Pki;
}

export class Bootstrap extends pulumi.ComponentResource {
  /** The line by which each step proved itself, by <step>@<machine>. */
  readonly proofs: pulumi.Output<Record<string, string>>;

  constructor(name: string, { spec, machines, pki }: BootstrapArgs, options?: pulumi.ComponentResourceOptions) {
    super("lab:bootstrap:Bootstrap", name, {}, options);
    const instances = pulumi
      .all(
        [...spec.controllers, ...spec.workers].map(
          (node) => pulumi.interpolate`${node.name} ${machines.get(node.name).instance.id}\n`,
        ),
      )
      .apply((lines) => lines.join(""));
    const commands = new Map<string, remote.Command>();
    for (const step of steps(spec)) {
      const running = machines.get(step.machine.name);
      const facts = {
        "instance/id": running.instance.id,
        "instance/zone": running.instance.availabilityZone,
        instances,
      };
      const material = Object.fromEntries(
        materialKeys(step).map((key) => [key, lookUp({ ...pki.material, ...facts }, key, step)]),
      );
      const after = step.after.map((id) => commands.get(id)).filter((command) => command !== undefined);
      if (after.length !== step.after.length)
        throw new Error(`${stepId(step)} runs after ${step.after.join(", ")}, not all of which come before it`);
      commands.set(stepId(step), this.command(step, running, machines.privateKey, material, after));
    }
    this.proofs = pulumi.output(Object.fromEntries([...commands].map(([id, { stdout }]) => [id, stdout])));
    this.registerOutputs();
  }

  /** A step on its machine. Its text may change freely and then runs again; a new instance makes a new command. */
  private command(
    step: Step,
    { machine, instance, hostKey, sshHost }: RunningMachine,
    privateKey: pulumi.Output<string>,
    material: Record<string, pulumi.Output<string>>,
    after: readonly remote.Command[],
  ): remote.Command {
    return new remote.Command(
      `${step.name}@${machine.name}`,
      {
        connection: {
          host: sshHost,
          user: sshUser,
          privateKey,
          hostKey,
          // A machine takes minutes from "running" to the first answer of sshd; refused dials wait 10 s at most.
          dialErrorLimit: 60,
          perDialTimeout: 15,
        },
        create: renderCommand(step),
        // Secrets, and what is known only after creation, go this way: `create` stays readable in every preview.
        stdin: pulumi.secret(pulumi.all(material).apply((values) => renderStdin(step, values))),
        triggers: [instance.id],
        logging: "none",
        addPreviousOutputInEnv: false,
      },
      {
        parent: this,
        dependsOn: [...after],
        // There is nothing to undo on a machine that goes, and no way to reach one that is gone.
        deletedWith: instance,
        customTimeouts: { create: "20m", update: "20m" },
      },
    );
  }
}

/** A step's key names its machine where a pair could be a machine's own; what all machines share answers to that as well. */
function lookUp(
  material: Readonly<Record<string, pulumi.Output<string>>>,
  key: string,
  step: Step,
): pulumi.Output<string> {
  const found = material[key] ?? material[key.replace(`/${step.machine.name}`, "")];
  if (!found) throw new Error(`${stepId(step)} asks for ${key}, which the PKI does not have`);
  return found;
}
