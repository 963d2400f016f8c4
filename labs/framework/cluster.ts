/** What labs can use of a cluster: always the API; its machines and its stack's configuration if they are known. */
import { Api } from "./api";
import { Etcd } from "./etcd";
import { Nodes } from "./nodes";
import { isWorker } from "./states";

/** The stack's own configuration, changed as its user would change it: a config value and `pulumi up`. */
export interface StackControl {
  /** Sets config keys of the project (undefined restores the stack's own value) and applies them. */
  set(config: Readonly<Record<string, unknown>>): Promise<void>;
}

export interface Cluster {
  /** Name in the report: that of the stack, or of the kubeconfig's context. */
  readonly name: string;
  readonly api: Api;
  readonly nodes?: Nodes;
  readonly etcd?: Etcd;
  readonly stack?: StackControl;
  /** Paths of kubectl and of its kubeconfig. */
  readonly kubectl?: { readonly path: string; readonly kubeconfig: string };
  /** Folder for the journal and the report. */
  readonly dir: string;
}

/** What a lab needs beyond the API. */
export type Need = "nodes" | "stack" | "two-workers";

/** Why a lab cannot run on this cluster, in words for a learner; undefined if it can. */
export async function missing(needs: readonly Need[], cluster: Cluster): Promise<string | undefined> {
  if (needs.includes("nodes") && !cluster.nodes)
    return "it needs access to the machines, but only a kubeconfig was given; run it with --stack, or add --ssh-config";
  if (needs.includes("stack") && !cluster.stack)
    return "it changes the stack's own configuration, but only a kubeconfig was given; run it with --stack";
  if (!needs.includes("two-workers")) return undefined;
  const workers = (await cluster.api.list("Node")).filter(isWorker);
  return workers.length < 2 ? `it needs two workers, but this cluster has ${workers.length}` : undefined;
}
