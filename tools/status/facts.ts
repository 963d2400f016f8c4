/** What `make status` knows before it concludes anything: what a stack consists of, and how each part responded just now. */
import type { Stage } from "../../cluster/shape";
import type { NodeOutput } from "../outputs";
import type { Instance } from "../recover/instance";

/** What a part responded, or why it did not. */
export type Answer<T> = { readonly value: T } | { readonly error: string };

/** A stack as its last update left it. */
export interface Subject {
  readonly stack: string;
  readonly isLocal: boolean;
  readonly region: string;
  /** Paths relative to the current folder. */
  readonly kubeconfig: string;
  readonly sshConfig: string;
  /** The last stage whose steps have run. Nothing of a later stage is expected. */
  readonly stage: Stage;
  readonly machines: readonly Machine[];
  /** URL of the API server in the administrator's kubeconfig. */
  readonly apiEndpoint: string;
  /** When each certificate expires, in ISO 8601, by its name. */
  readonly certificates: Readonly<Record<string, string>>;
}

export interface Machine extends NodeOutput {
  /** Address in the stack's ssh_config. */
  readonly address: string;
}

/** Answers by the name of the machine that was asked. */
export type ByMachine<T> = Readonly<Record<string, Answer<T>>>;

export interface EtcdMember {
  /** Why the member is unhealthy; undefined if it is healthy, which includes that it sees a quorum. */
  readonly fault?: string | undefined;
  readonly version: string;
  readonly isLeader: boolean;
  /** Whether it has not become a voting member yet. */
  readonly isLearner: boolean;
  /** When the newest snapshot on the machine was saved; undefined if there is none. */
  readonly snapshot?: Date | undefined;
}

export interface ApiServer {
  /** Names of the checks behind /readyz that fail; the server is ready if there are none. */
  readonly failing: readonly string[];
  readonly version: string;
  /** When the certificate that it serves expires. */
  readonly certificateExpiry: Date;
}

export interface NodeStatus {
  readonly name: string;
  readonly isReady: boolean;
  /** Why it is not ready. */
  readonly message: string;
  /** Version of its kubelet. */
  readonly version: string;
}

export interface Dns {
  readonly isAvailable: boolean;
  readonly replicas: number;
  readonly available: number;
}

/** Everything that was asked. A part that the stack's stage does not include was not. */
export interface Facts {
  readonly subject: Subject;
  readonly at: Date;
  /** By instance id. An instance that is not listed does not exist. */
  readonly instances: Answer<ReadonlyMap<string, Instance>>;
  /** The greeting of each machine's SSH server. */
  readonly ssh: ByMachine<string>;
  readonly etcd: ByMachine<EtcdMember>;
  readonly apiServers: ByMachine<ApiServer>;
  /** Whichever API server is behind the administrator's endpoint. */
  readonly endpoint?: Answer<ApiServer> | undefined;
  readonly nodes?: Answer<readonly NodeStatus[]> | undefined;
  readonly dns?: Answer<Dns> | undefined;
}
