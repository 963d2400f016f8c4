/** What a step of the bootstrap is: data, from which remote commands, stages and the by-hand transcript follow. */
import type { Administrator, FactKey } from "../cluster/material";
import type { Controller, Machine, Node, Stage } from "../cluster/shape";
import { type ClusterSpec, firstController } from "../cluster/spec";
import type { ReleaseName } from "../cluster/versions";
import { asset, type SecretFile, type StepFile } from "./files";
import { runtimeDirectory } from "./places";
import { releaseLines } from "./releases";

/** Which machines run a step: each machine of a kind, or one of them on behalf of the whole cluster. */
export interface Scope<M extends Machine> {
  readonly once: boolean;
  readonly machines: (spec: ClusterSpec) => readonly M[];
}
export const everyMachine: Scope<Machine> = { once: false, machines: ({ machines }) => machines };
export const everyNode: Scope<Node> = { once: false, machines: ({ nodes }) => nodes };
export const everyController: Scope<Controller> = { once: false, machines: ({ controllers }) => controllers };
export const theBalancer: Scope<Machine> = { once: false, machines: ({ balancer }) => (balancer ? [balancer] : []) };
export const onceForTheCluster: Scope<Controller> = { once: true, machines: (spec) => [firstController(spec)] };

/** Identity of a step in a cluster, such as etcd@controller-0. */
export type StepId = `${string}@${string}`;

/** What a step does on one machine. */
interface Work {
  /** Shell variables of the script, in addition to NODE_NAME and PRIVATE_IP. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Release files that the script installs; it gets the variables RELEASES and MIRROR. */
  readonly releases?: readonly ReleaseName[];
  /** Shell variables whose values are known only once the machines exist. */
  readonly facts?: Readonly<Record<string, FactKey>>;
  readonly files?: readonly StepFile[];
  readonly secrets?: readonly SecretFile[];
  /** Which administrator of the cluster the script acts as, through `as_admin`. */
  readonly admin?: Administrator;
  /** Steps that must have ended before this one starts. */
  readonly after?: readonly StepId[];
}

export interface StepDefinition<Name extends string, M extends Machine> {
  /** Also the name of its file, steps/<name>.ts, and of its script, scripts/steps/<name>.sh. */
  readonly name: Name;
  /** Heading in the by-hand transcript. */
  readonly title: string;
  readonly stage: Stage;
  readonly on: Scope<M>;
  /** Name that the step had in earlier releases, under which existing stacks know it. */
  readonly formerName?: string;
  readonly work: (spec: ClusterSpec, machine: M) => Work;
}

/** A step on one machine of a cluster, complete. */
export interface Step {
  readonly id: StepId;
  readonly name: string;
  readonly formerId?: StepId;
  readonly machine: Machine;
  readonly variables: Readonly<Record<string, string>>;
  readonly facts: Readonly<Record<string, FactKey>>;
  readonly files: readonly StepFile[];
  readonly secrets: readonly SecretFile[];
  /** Text of scripts/steps/<name>.sh. */
  readonly script: string;
  readonly after: readonly StepId[];
}

/** A definition, and what follows from it. */
export interface DefinedStep<Name extends string = string, M extends Machine = Machine> extends Omit<
  StepDefinition<Name, M>,
  "work"
> {
  /** Identity of the step on a machine, for another step's `after`. */
  readonly at: (machine: { readonly name: string }) => StepId;
  /** The step on each of its machines. */
  readonly steps: (spec: ClusterSpec) => readonly Step[];
}

export function defineStep<const Name extends string, M extends Machine>(
  definition: StepDefinition<Name, M>,
): DefinedStep<Name, M> {
  const { work, ...rest } = definition;
  const { name, formerName, on } = definition;
  const at = (machine: { readonly name: string }): StepId => `${name}@${machine.name}`;
  const step = (spec: ClusterSpec, machine: M): Step => {
    const { variables, releases, facts, files, secrets, admin, after } = work(spec, machine);
    return {
      id: at(machine),
      name,
      formerId: formerName === undefined ? undefined : `${formerName}@${machine.name}`,
      machine,
      variables: {
        NODE_NAME: machine.name,
        PRIVATE_IP: machine.privateIp,
        ...variables,
        ...(releases ? { MIRROR: spec.mirror ?? "", RELEASES: releaseLines(spec, machine, releases) } : {}),
      },
      facts: facts ?? {},
      files: files ?? [],
      secrets: [...(secrets ?? []), ...(admin ? [adminKubeconfig(name, admin)] : [])],
      script: asset(`scripts/steps/${name}.sh`),
      after: after ?? [],
    };
  };
  return { ...rest, at, steps: (spec) => on.machines(spec).map((machine) => step(spec, machine)) };
}

/** An administrator's kubeconfig: on the machine only while the step runs, in memory. */
const adminKubeconfig = (step: string, admin: Administrator): SecretFile => ({
  path: `${runtimeDirectory}/${step}/admin.conf`,
  mode: "0600",
  source: `kubeconfig/${admin}`,
});
