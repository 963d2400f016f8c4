/** What the labs may use of a cluster: always the API, and where a stack is given its machines and its configuration. */
import { Api } from "./api";
import { Etcd } from "./etcd";
import { Nodes } from "./nodes";
import { isWorker } from "./states";

/** The stack's own configuration, changed as its user would: a config value and `pulumi up`. */
export interface StackControl {
  /** Sets config keys of the project's namespace (undefined: back to the stack's file) and brings the cluster there. */
  set(config: Readonly<Record<string, unknown>>): Promise<void>;
}

export interface Cluster {
  /** Name in the report: the stack, or the kubeconfig's context. */
  readonly name: string;
  readonly api: Api;
  readonly nodes?: Nodes;
  readonly etcd?: Etcd;
  readonly stack?: StackControl;
  /** Path of kubectl and of the kubeconfig that it is given. */
  readonly kubectl?: { readonly path: string; readonly kubeconfig: string };
  /** Folder for journal and report. */
  readonly dir: string;
}

/** What a lab needs beyond the API. */
export type Need = "nodes" | "stack" | "two-workers";

/** Why a lab cannot run on this cluster, in a learner's words; undefined where it can. */
export async function missing(needs: readonly Need[], cluster: Cluster): Promise<string | undefined> {
  if (needs.includes("nodes") && !cluster.nodes)
    return "it looks inside the machines, and only a kubeconfig was given: run it with --stack, or give --ssh-config";
  if (needs.includes("stack") && !cluster.stack)
    return "it changes the stack's own configuration, and only a kubeconfig was given: run it with --stack";
  if (!needs.includes("two-workers")) return undefined;
  const workers = (await cluster.api.list("Node")).filter(isWorker);
  return workers.length < 2 ? `it needs two workers, and this cluster has ${workers.length}` : undefined;
}
