/** Removes everything that a lab created or changed, and reports what is left. Also works after an interrupted run. */
import type { Api } from "./api";
import type { Cluster } from "./cluster";
import { type Journal, type Undo } from "./journal";
import { type Kind, kinds, type Stored } from "./kinds";
import { labLabel, labPrefix } from "./manifests";
import { until } from "./wait";

const clusterWide = (Object.keys(kinds) as Kind[]).filter((kind) => !kinds[kind].namespaced && kind !== "Node");
/** Kinds on which labs put their own finalizers. */
const held: readonly Kind[] = ["ConfigMap", "Pod", "Deployment"];

/** Undoes everything in the journal, newest first. */
export async function undoAll(cluster: Cluster, journal: Journal, note: (text: string) => void): Promise<void> {
  for (let undo = journal.newest(); undo; undo = journal.newest()) {
    note(`undoing: ${undo.title}`);
    await undoNewest(cluster, journal);
  }
}

/** Undoes the newest entry; it leaves the journal only once it is undone. */
export async function undoNewest(cluster: Cluster, journal: Journal): Promise<void> {
  const undo = journal.newest();
  if (!undo) return;
  await undoOne(cluster, undo);
  journal.drop();
}

async function undoOne(cluster: Cluster, undo: Undo): Promise<void> {
  if (undo.kind === "command") {
    if (!cluster.nodes?.names.includes(undo.node)) return; // the machine is gone, and the change with it
    await cluster.nodes.output(undo.node, undo.command, { timeoutSeconds: 120 });
  } else {
    const config = Object.fromEntries(Object.entries(undo.config).map(([key, value]) => [key, value ?? undefined]));
    await cluster.stack?.set(config);
  }
}

/** Deletes a lab's namespaces and cluster-wide objects, and its labels and taints on nodes; waits until they are gone. */
export async function sweep(api: Api, lab: string): Promise<void> {
  const mine = { labels: `${labLabel}=${lab}` };
  for (const namespace of await api.list("Namespace", mine)) await release(api, namespace.metadata.name);
  for (const kind of clusterWide)
    for (const object of await api.list(kind, mine))
      await api.delete(kind, object.metadata.name, undefined, { propagation: "Background" });
  for (const node of await api.list("Node")) await cleanNode(api, node);
  await until(
    `the objects of lab ${lab} to be gone`,
    () => leftovers(api, lab),
    (left) => left.length === 0,
    {
      within: 60,
      every: 500,
    },
  );
}

/** Removes the labs' own finalizers, so that nothing holds the namespace. */
async function release(api: Api, namespace: string): Promise<void> {
  for (const kind of held)
    for (const { metadata } of await api.list(kind, { namespace })) {
      const kept = metadata.finalizers?.filter((f) => !f.startsWith(labPrefix));
      if (kept && kept.length !== metadata.finalizers?.length)
        await api.patch(kind, metadata.name, namespace, { metadata: { finalizers: kept } });
    }
}

/** Removes labels and taints with the labs' prefix. */
async function cleanNode(api: Api, node: Stored<"Node">): Promise<void> {
  const labels = Object.keys(node.metadata.labels ?? {}).filter((key) => key.startsWith(labPrefix));
  const taints = node.spec.taints?.filter((taint) => !taint.key.startsWith(labPrefix));
  const tainted = taints?.length !== node.spec.taints?.length;
  if (!labels.length && !tainted) return;
  await api.patch("Node", node.metadata.name, undefined, {
    ...(labels.length ? { metadata: { labels: Object.fromEntries(labels.map((key) => [key, null])) } } : {}),
    ...(tainted ? { spec: { taints: taints?.length ? taints : null } } : {}),
  });
}

/** What still carries the lab's label. */
export async function leftovers(api: Api, lab: string): Promise<string[]> {
  const found = await Promise.all(
    clusterWide.map(async (kind) =>
      (await api.list(kind, { labels: `${labLabel}=${lab}` })).map((object) => `${kind} ${object.metadata.name}`),
    ),
  );
  return found.flat();
}

/** What a lab must leave as it was: each node's name, labels, lasting taints, resources and whether it accepts pods. */
export async function nodesAsTheyAre(api: Api): Promise<Record<string, unknown>> {
  const nodes = await api.list("Node");
  return Object.fromEntries(
    nodes.map(({ metadata, spec, status }) => [
      metadata.name,
      {
        labels: sorted(metadata.labels ?? {}),
        taints: (spec.taints ?? [])
          .filter((t) => !t.key.startsWith("node.kubernetes.io/"))
          .map((t) => `${t.key}:${t.effect}`),
        unschedulable: spec.unschedulable ?? false,
        allocatable: status.allocatable,
        ready: status.conditions?.find((c) => c.type === "Ready")?.status,
      },
    ]),
  );
}

const sorted = <T>(record: Readonly<Record<string, T>>): Record<string, T> =>
  Object.fromEntries(Object.entries(record).sort(([a], [b]) => a.localeCompare(b)));
