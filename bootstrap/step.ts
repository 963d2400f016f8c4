/** A step of the bootstrap, as data. From the one list come the remote commands, the stage gate and the by-hand transcript. */
import type { Machine, Stage } from "../cluster/spec";

/** A file that a step puts on a machine. */
export interface StepFile {
  readonly path: string;
  /** Octal permission bits, such as "0644". */
  readonly mode: string;
  /** user:group; root:root unless given. */
  readonly owner?: string;
  /** Text of the file; ends with a newline. */
  readonly content: string;
}

/** A file whose content is secret, or known only once the PKI is made: the step names it, the material has it. */
export interface SecretFile {
  readonly path: string;
  readonly mode: string;
  readonly owner?: string;
  /** Key of the content in the step's material, such as `etcd/controller-0/key`; the by-hand transcript prints it. */
  readonly source: string;
}

/** Names of the steps, in the order of the series. */
export const stepNames = [
  "machine",
  "balancer",
  "container-runtime",
  "etcd",
  "control-plane",
  "rbac",
  "departures",
  "worker",
  "pod-network",
  "nodes",
  "dns",
] as const;
export type StepName = (typeof stepNames)[number];

export interface Step {
  readonly name: StepName;
  /** The chapter that the step belongs to. */
  readonly stage: Stage;
  /** The machine that it runs on. */
  readonly machine: Machine;
  /** Shell variables of the script. */
  readonly variables: Readonly<Record<string, string>>;
  /** More shell variables, known only at run time: name of the variable -> key of its value in the material. */
  readonly facts: Readonly<Record<string, string>>;
  readonly files: readonly StepFile[];
  readonly secrets: readonly SecretFile[];
  /** Text of scripts/<name>.sh. */
  readonly script: string;
  /** Identities (see stepId) of the steps that must have ended before this one starts. */
  readonly after: readonly string[];
}

/** Identity of a step in a cluster: `etcd@controller-0`. */
export const stepId = (step: { readonly name: string; readonly machine: Machine }): string =>
  `${step.name}@${step.machine.name}`;
