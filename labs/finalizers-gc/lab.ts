/** What is deleted together, in which order, and what a finalizer holds back. */
import { refusal } from "../framework/api";
import type { Bench } from "../framework/bench";
import { printable, registryKey } from "../framework/etcd";
import { contains, matches } from "../framework/expectation";
import type { Stored } from "../framework/kinds";
import type { Lab } from "../framework/lab";
import type { Live } from "../framework/live";
import { labPrefix } from "../framework/manifests";
import { conditionOf, isReady } from "../framework/states";

const hold = `${labPrefix}hold`;

interface Family {
  readonly deployments: Live<"Deployment">;
  readonly sets: Live<"ReplicaSet">;
  readonly pods: Live<"Pod">;
}

/** A fresh Deployment with its ReplicaSet and two Ready pods. */
async function grow(bench: Bench, family: Family): Promise<void> {
  await bench.apply("tree.yaml");
  await family.pods.until(
    "two Ready pods",
    (pods) => pods.filter((p) => p.metadata.labels?.["app"] === "tree" && isReady(p)).length >= 2,
    60,
  );
}

/**
 * Kinds in the order in which the last object of each was deleted. A deletion gets its own resource version, and
 * versions order all writes; the watches' clocks could not distinguish what was deleted in the same moment.
 */
function orderOfEnd({ deployments, sets, pods }: Family): string[] {
  const last = (live: Live<"Deployment"> | Live<"ReplicaSet"> | Live<"Pod">): bigint => {
    const moments = live.history as readonly { type: string; object: { metadata: { resourceVersion: string } } }[];
    return BigInt(moments.findLast((m) => m.type === "DELETED")?.object.metadata.resourceVersion ?? 0);
  };
  return [deployments, sets, pods].sort((a, b) => (last(a) < last(b) ? -1 : 1)).map((live) => live.kind);
}

async function experiment(bench: Bench): Promise<void> {
  const { api, namespace } = bench;
  const family: Family = {
    deployments: await bench.watch("Deployment"),
    sets: await bench.watch("ReplicaSet"),
    pods: await bench.watch("Pod"),
  };
  const { deployments, sets, pods } = family;
  const empty = async (): Promise<void> => {
    await deployments.until("the Deployment to be gone", (items) => items.length === 0, 60);
    await sets.until("the ReplicaSet to be gone", (items) => items.length === 0, 60);
    await pods.until("the pods to be gone", (items) => items.length === 0, 60);
  };

  await bench.baseline("three generations exist", () => grow(bench, family));
  const owner = (o: Stored<"ReplicaSet"> | Stored<"Pod">) => o.metadata.ownerReferences?.[0];
  bench.claim("a pod points to its ReplicaSet by UID", owner(pods.items[0]!)?.uid, sets.items[0]!.metadata.uid);
  bench.claim(
    "a ReplicaSet points to its Deployment by UID",
    owner(sets.items[0]!)?.uid,
    deployments.items[0]!.metadata.uid,
  );
  bench.claim(
    "as its only controller, and blocking its deletion",
    [owner(sets.items[0]!)?.controller, owner(sets.items[0]!)?.blockOwnerDeletion],
    [true, true],
  );

  await bench.disturb("delete in the background", () =>
    api.delete("Deployment", "tree", namespace, { propagation: "Background" }),
  );
  await bench.observe("the children follow", empty);
  bench.claim("they are deleted from the parent down", orderOfEnd(family), ["Deployment", "ReplicaSet", "Pod"]);

  await grow(bench, family);
  await bench.disturb("delete in the foreground", () =>
    api.delete("Deployment", "tree", namespace, { propagation: "Foreground" }),
  );
  await bench.observe("the parent waits", empty);
  const waiting = deployments.history.findLast(
    (m) => m.type === "MODIFIED" && m.object.metadata.deletionTimestamp,
  )?.object;
  bench.claim("it is held by the API's own finalizer", waiting?.metadata.finalizers, ["foregroundDeletion"]);
  bench.claim("the parent is deleted last", orderOfEnd(family), ["Pod", "ReplicaSet", "Deployment"]);

  await grow(bench, family);
  await bench.disturb("delete, and leave orphans", () =>
    api.delete("Deployment", "tree", namespace, { propagation: "Orphan" }),
  );
  await bench.observe("the children stay", async () => {
    await deployments.until("the Deployment to be gone", (items) => items.length === 0, 30);
    await sets.until(
      "the ReplicaSet to be released",
      (items) => items.length === 1 && !items[0]!.metadata.ownerReferences?.length,
      30,
    );
  });
  bench.claim(
    "the ReplicaSet has no owner and keeps its pods",
    [sets.items[0]!.metadata.ownerReferences ?? [], pods.items.filter(isReady).length],
    [[], 2],
  );
  await bench.disturb("the orphaned ReplicaSet is deleted separately", () =>
    api.delete("ReplicaSet", sets.items[0]!.metadata.name, namespace, { propagation: "Background" }),
  );
  await bench.observe("its pods follow", empty);

  await bench.disturb("an object whose owner does not exist is created", () =>
    bench.create({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: {
        name: "foundling",
        ownerReferences: [
          { apiVersion: "v1", kind: "ConfigMap", name: "nobody", uid: "00000000-0000-4000-8000-000000000000" },
        ],
      },
    }),
  );
  const foundling = await bench.observe("the collector looks for the owner", () =>
    bench.until(
      "the object to be collected",
      () => api.find("ConfigMap", "foundling", namespace),
      (found) => found === undefined,
      60,
    ),
  );
  bench.claim("it is collected", foundling, undefined);

  await finalizer(bench);
  await stuckNamespace(bench);
}

/** An object stuck in Terminating, seen in the API and in etcd, then released. */
async function finalizer(bench: Bench): Promise<void> {
  const { api, namespace } = bench;
  const maps = await bench.watch("ConfigMap", { fields: "metadata.name=held" });
  const key = registryKey("configmaps", namespace, "held");

  await bench.disturb("delete an object that has a finalizer", async () => {
    await bench.apply("held.yaml");
    bench.claim("the request is accepted", await api.delete("ConfigMap", "held", namespace), true);
  });
  await bench.observe("it is still there three seconds later", async () => {
    await bench.api.delete("ConfigMap", "held", namespace, { graceSeconds: 0 });
    await bench.pause(3);
  });
  const stuck = maps.named("held");
  bench.claim(
    "deletion set a timestamp and did nothing else",
    stuck?.metadata.deletionTimestamp ?? "none",
    matches(/^\d{4}-\d\d-\d\dT/),
  );
  bench.claim("deleting it again, with no grace period, does not help", stuck?.metadata.finalizers, [hold]);
  const entry = await bench.etcd.get(key);
  bench.claim("etcd still has its key", await bench.etcd.keys(key), [key]);
  bench.claim("the finalizer is in the stored value", printable(entry?.value ?? Buffer.alloc(0)), contains(hold));
  bench.claim(
    "it was written twice: created, then marked as deleted; the second request wrote nothing",
    entry?.version,
    2,
  );
  const added = await refusal(
    api.patch("ConfigMap", "held", namespace, { metadata: { finalizers: [hold, `${labPrefix}second`] } }),
  );
  bench.claim("another finalizer is refused once deletion has begun", added?.status, 422);
  const edited = await api.patch("ConfigMap", "held", namespace, { data: { state: "being cleaned up" } });
  bench.claim("its data can still be changed", edited.data?.["state"], "being cleaned up");

  await bench.disturb("the finalizer is removed", () =>
    api.patch("ConfigMap", "held", namespace, { metadata: { finalizers: null } }),
  );
  await bench.observe("the object is deleted", () =>
    maps.until("the object to be gone", (items) => items.length === 0, 10),
  );
  bench.claim("its key is gone from etcd", await bench.etcd.get(key), undefined);
}

/** Why a namespace hangs: because of something in it. */
async function stuckNamespace(bench: Bench): Promise<void> {
  const { api } = bench;
  const name = await bench.makeNamespace("stuck");
  await bench.disturb("delete a namespace that holds such an object", async () => {
    await api.create({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "held", namespace: name, finalizers: [hold] },
    });
    await api.delete("Namespace", name);
  });
  const stuck = await bench.observe("the namespace reports what it is waiting for", () =>
    bench.until(
      `namespace ${name} to report finalizers`,
      () => api.get("Namespace", name),
      (ns) => conditionOf(ns, "NamespaceFinalizersRemaining")?.status === "True",
      30,
    ),
  );
  bench.claim("it is Terminating", stuck.status.phase, "Terminating");
  bench.claim(
    "and a condition names the finalizer",
    conditionOf(stuck, "NamespaceFinalizersRemaining")?.message ?? "",
    contains(hold),
  );
  await bench.disturb("the finalizer is removed", () =>
    api.patch("ConfigMap", "held", name, { metadata: { finalizers: null } }),
  );
  const after = await bench.observe("the namespace is deleted", () =>
    bench.until(
      `namespace ${name} to be gone`,
      () => api.find("Namespace", name),
      (ns) => ns === undefined,
      45,
    ),
  );
  bench.claim("nothing is left of it", after, undefined);
}

export default {
  name: "finalizers-gc",
  title: "Finalizers, ownerReferences and garbage collection",
  part: "V · Organizing objects",
  hypothesis:
    "Deletion is a request. Children know their parents by UID and are collected after them, before them or not at all, as the request says. An object with a finalizer stays, marked with a timestamp, until whoever added the finalizer removes it.",
  needs: ["nodes"],
  experiment,
} satisfies Lab;
