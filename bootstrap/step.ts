/** A step of the bootstrap, as data. From the one list come the remote commands, the stage gate and the by-hand transcript. */
import type { Machine, Stage } from "../infra/cluster";

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

/** A file whose content is secret (or depends on one): named here, its content comes from the PKI by this key. */
export interface SecretFile {
  readonly path: string;
  readonly mode: string;
  readonly owner?: string;
  /** Where the content comes from, such as `pki.etcd["controller-0"].key`; the by-hand transcript prints this instead. */
  readonly source: string;
}

export interface Step {
  /** Name of the step: machine, etcd, control-plane, worker, pod-network, rbac, nodes, dns. */
  readonly name: string;
  readonly stage: Stage;
  readonly machine: Machine;
  /** Shell variables for the script, in order. */
  readonly variables: Readonly<Record<string, string>>;
  readonly files: readonly StepFile[];
  readonly secrets: readonly SecretFile[];
  /** Text of scripts/<name>.sh. */
  readonly script: string;
  /** Names of the steps (`<step>@<machine>`) that must have ended before this one starts. */
  readonly after: readonly string[];
}
