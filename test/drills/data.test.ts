/** The data of a single control-plane machine: it is never silently replaced by an empty cluster, and it comes back. */
import { randomBytes } from "node:crypto";
import { expect, it } from "vitest";
import { images } from "../../cluster/versions";
import { takeSnapshot } from "../support/failures";
import { clusterFor, type Needs } from "../support/needs";

const needs: Needs = { preset: "local", values: { etcdVersion: "v3.6.15" } };
const cluster = clusterFor("data", needs);

const kept = (): Promise<string> => cluster.kubectl`get configmap kept -n default -o jsonpath={.data.a}`;
const snapshotsOn = (machine: string): Promise<string> =>
  cluster.ssh(machine, "sudo ls -1 /var/lib/kubernetes-from-scratch/snapshots");

it("a snapshot precedes an upgrade of etcd", async () => {
  await cluster.kubectl`create configmap kept -n default --from-literal=a=b`;
  cluster.configure({ etcdVersion: "v3.6.16" });
  await cluster.make`up`;
  expect((await snapshotsOn("controller-0")).match(/^etcd-.*\.db$/gm)).toHaveLength(1);
  expect(await cluster.make`status`).toMatch(/^snapshots +the newest is \d+ min old, on controller-0$/m);
});

it("a missing data directory is refused, with the newest snapshot, and a restore brings the data back", async () => {
  await cluster.ssh("controller-0", "sudo /usr/local/lib/kubernetes-from-scratch/snapshot-etcd.sh");
  await cluster.ssh("controller-0", "sudo systemctl stop etcd && sudo mv /var/lib/etcd/member /var/tmp");
  cluster.configure({ etcdVersion: "v3.6.15" });
  const refusal = await cluster.tryMake`up`;
  cluster.configure({ etcdVersion: "v3.6.16" });
  expect(refusal.exitCode).not.toBe(0);
  expect(refusal.all).toContain("/var/lib/etcd/member is missing. A new cluster would be empty.");
  const [, snapshot = ""] = /SNAPSHOT=(controller-0:\S+\.db)/.exec(refusal.all) ?? [];
  await cluster.make`restore SNAPSHOT=${snapshot}`;
  await cluster.make`up`;
  expect(await kept()).toBe("b");
});

it("the only control-plane machine is not replaced unasked, and a fetched snapshot brings the data back", async () => {
  const snapshot = await takeSnapshot(cluster);
  await cluster.cloud`terminate controller-0`;
  const refusal = await cluster.tryMake`up`;
  expect(refusal.exitCode).not.toBe(0);
  expect(refusal.all).toMatch(/had the cluster's data is lost: controller-0/);
  expect(refusal.all).toContain(`SNAPSHOT=${snapshot}`);
  await cluster.make`up LOSE_DATA=yes`;
  expect((await cluster.tryKubectl`get configmap kept -n default`).all).toContain("not found");
  await cluster.make`restore SNAPSHOT=${snapshot}`;
  await cluster.make`up`;
  expect(await kept()).toBe("b");
});

it("what a snapshot lacks of the cluster's own objects is there after the next `make up`", async () => {
  const binding = "clusterrolebinding/kubernetes-from-scratch-administrators";
  await cluster.kubectl`delete deployment coredns -n kube-system`;
  await cluster.kubectl`delete ${binding}`;
  expect((await cluster.tryKubectl`get nodes`).all).toContain("Forbidden");
  const snapshot = await takeSnapshot(cluster);
  await cluster.make`restore SNAPSHOT=${snapshot}`;
  await cluster.make`up`;
  await cluster.kubectl`get ${binding}`;
  await cluster.kubectl`rollout status deployment/coredns -n kube-system --timeout=10s`;
  expect(await kept()).toBe("b");
  expect(await cluster.make`up`).toMatch(/Resources:\s+\d+ unchanged/);
});

it("a snapshot that is older than a change of encryptionKey becomes readable with the former key", async () => {
  await cluster.kubectl`create secret generic locked -n default --from-literal=a=b`;
  const snapshot = await takeSnapshot(cluster);
  await cluster.configureSecret("encryptionKey", randomBytes(32).toString("base64"));
  await cluster.make`up`;
  const restored = await cluster.tryMake`restore SNAPSHOT=${snapshot}`;
  expect(restored.exitCode).not.toBe(0);
  expect(restored.all).toMatch(
    /The snapshot is restored, but the cluster has no key for Secrets in it: key-\S+ \(\d+\)/,
  );
  const refusal = await cluster.tryMake`up`;
  expect(refusal.exitCode).not.toBe(0);
  cluster.configure({ encryptionKey: undefined });
  await cluster.make`up`;
  expect(await cluster.kubectl`get secret locked -n default -o jsonpath={.data.a}`).toBe(btoa("b"));
});

it("LOSE_DATA=yes begins with an empty cluster, once", async () => {
  await cluster.ssh("controller-0", "sudo systemctl stop etcd && sudo rm -r /var/lib/etcd/member");
  await cluster.make`up LOSE_DATA=yes`;
  expect((await cluster.tryKubectl`get configmap kept -n default`).all).toContain("not found");
  await cluster.kubectl`get clusterrole cluster-admin`;
  await cluster.kubectl`rollout status deployment/coredns -n kube-system --timeout=10s`;
  await cluster.ssh("controller-0", "sudo systemctl stop etcd && sudo rm -r /var/lib/etcd/member");
  const refusal = await cluster.tryMake`up`;
  expect(refusal.all).toContain("refusing to form an etcd cluster");
  await cluster.make`up LOSE_DATA=yes`;
});

it("a change does not take place if no snapshot can be saved", async () => {
  await cluster.ssh(
    "controller-0",
    "d=/var/lib/kubernetes-from-scratch/snapshots; sudo mkdir -p $d && sudo mount -t tmpfs -o size=1m tmpfs $d",
  );
  cluster.configure({ etcdVersion: "v3.6.15" });
  const stopped = await cluster.tryMake`up`;
  expect(stopped.exitCode).not.toBe(0);
  expect(stopped.all).toMatch(/1 GiB must stay free.*free some space/);
  expect(stopped.all).toContain("without a snapshot of etcd, the restart of etcd does not take place");
  await cluster.ssh("controller-0", "sudo umount /var/lib/kubernetes-from-scratch/snapshots");
  await cluster.make`up`;
});

it("says on the screen which node could not be drained, and why", async () => {
  await cluster.apply(JSON.stringify({ apiVersion: "v1", kind: "List", items: guarded }));
  await cluster.kubectl`-n default wait --for=condition=Available deployment/guarded --timeout=90s`;
  cluster.configure({ workerCount: 1 });
  const output = await cluster.make`up`;
  expect(output).toMatch(
    /✓ departures@controller-0: etcd members: controller-0; worker-1 was removed although it could not be drained within 90 s \(pods: default\/guarded-\S+; PodDisruptionBudgets that allow no disruption: default\/guarded\)/,
  );
});

/** A pod on worker-1 that a budget does not let go. */
const guarded = [
  {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "guarded", namespace: "default" },
    spec: {
      replicas: 1,
      selector: { matchLabels: { app: "guarded" } },
      template: {
        metadata: { labels: { app: "guarded" } },
        spec: {
          nodeSelector: { "kubernetes.io/hostname": "worker-1" },
          containers: [{ name: "pause", image: images.pause }],
        },
      },
    },
  },
  {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: { name: "guarded", namespace: "default" },
    spec: { minAvailable: 1, selector: { matchLabels: { app: "guarded" } } },
  },
];
