/** Failures of a highly available cluster. Each breaks something, watches, repairs it, and returns the figures. */
import { statSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { images } from "../../cluster/versions";
import { root } from "../../tools/places";
import { etcdctl, healthy, leader, leadBy } from "./etcd";
import { eventually, scriptText, type TestCluster } from "./cluster";
import { until, whileWriting } from "./writing";
import type { WriterReport } from "./writer";

/** What is done to a cluster while a client writes to it. */
export interface Failure {
  readonly name: string;
  /** Whether a majority of the control plane stays up; if so, a client that retries must not notice anything. */
  readonly quorum: "kept" | "lost";
  /** Takes many minutes, so it only runs in the drills. */
  readonly long?: boolean;
  readonly run: (cluster: TestCluster) => Promise<WriterReport>;
}

const sleep = (seconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

export const machineKilled: Failure = {
  name: "a whole control-plane machine killed, then started again",
  quorum: "kept",
  run: async (cluster) => {
    const target = await leader(cluster);
    return whileWriting(cluster, async (writer) => {
      await cluster.cloud`kill ${target}`;
      await until(writer, writer.count + 20);
      await cluster.cloud`start ${target}`;
      await healthy(cluster);
    });
  },
};

export const failures: readonly Failure[] = [
  {
    name: "SIGKILL of the etcd leader",
    quorum: "kept",
    run: async (cluster) => {
      const target = await leader(cluster);
      return whileWriting(cluster, async () => {
        await cluster.ssh(target, "sudo systemctl kill --signal=KILL etcd");
        await healthy(cluster);
      });
    },
  },
  {
    name: "SIGKILL of an API server",
    quorum: "kept",
    run: (cluster) =>
      whileWriting(cluster, async () => {
        await cluster.ssh("controller-1", "sudo systemctl kill --signal=KILL kube-apiserver");
        await healthy(cluster);
      }),
  },
  machineKilled,
  {
    name: "network partition of one control-plane machine",
    quorum: "kept",
    run: async (cluster) => {
      const target = await leader(cluster);
      return whileWriting(cluster, async (writer) => {
        await cluster.cloud`partition ${target}`;
        await until(writer, writer.count + 20);
        await cluster.cloud`heal ${target}`;
        await healthy(cluster);
      });
    },
  },
  {
    name: "a control-plane machine rebooted",
    quorum: "kept",
    run: (cluster) =>
      whileWriting(cluster, async () => {
        await cluster.cloud`reboot controller-0`;
        await healthy(cluster);
      }),
  },
  {
    name: "the disk of one etcd member full",
    quorum: "kept",
    run: (cluster) =>
      whileWriting(cluster, async (writer) => {
        await cluster.script("controller-2", "disk-full.sh");
        await cluster.script("controller-0", "etcd-fill.sh", etcdctl);
        await eventually("etcd to exit for lack of space", 120, async () => {
          const log = await cluster.ssh("controller-2", "sudo journalctl -u etcd --since -3min --no-pager -o cat");
          const saw = await cluster.ssh("controller-2", "systemctl show -p NRestarts --value etcd");
          return Number(saw) > 0 && log.includes("no space left on device") ? { done: undefined } : { saw };
        });
        await until(writer, writer.count + 40);
        await cluster.ssh("controller-2", "sudo mount -o remount,size=1g /var/lib/etcd.small");
        await healthy(cluster);
        await cluster.script("controller-2", "disk-back.sh");
        await healthy(cluster);
        await cluster.script("controller-0", "etcd-compact.sh", etcdctl);
      }),
  },
  {
    name: "the clock of one control-plane machine five minutes ahead",
    quorum: "kept",
    run: (cluster) =>
      whileWriting(cluster, async (writer) => {
        const machine = "controller-1";
        const clockOffset = scriptText("clock-offset.py");
        await cluster.ssh(machine, "sudo install -m 0755 /dev/stdin /usr/local/bin/clock-offset.py", clockOffset);
        await cluster.script(machine, "clock-ahead.sh", "300");
        await healthy(cluster);
        expect(await clockOf(cluster, machine)).toBeCloseTo(300, -1);
        await eventually("etcd to notice that the other clocks are behind", 120, async () => {
          const log = await cluster.ssh(machine, "sudo journalctl -u etcd -n 2000 --no-pager -o cat");
          return log.includes("high clock drift") ? { done: undefined } : { saw: log.slice(-300) };
        });
        await until(writer, writer.count + 40);
        await cluster.script(machine, "clock-right.sh");
        await healthy(cluster);
        expect(await clockOf(cluster, machine)).toBeCloseTo(0, -1);
      }),
  },
  {
    name: "a worker lost for good: its pods move, `make up` replaces it",
    quorum: "kept",
    run: (cluster) =>
      whileWriting(cluster, async () => {
        await cluster.apply(JSON.stringify(movingPods));
        await cluster.kubectl`wait --for=condition=Available deployment/moving --timeout=90s`;
        expect(await podsOn(cluster, "worker-1"), "a pod runs on the worker that will be lost").not.toBe(0);
        await cluster.cloud`terminate worker-1`;
        const start = Date.now();
        await eventually("both pods to run on worker-0", 240, async () => {
          const there = await podsOn(cluster, "worker-0");
          return there === 2 ? { done: undefined } : { saw: `${there} of 2` };
        });
        console.log(`pods of a lost worker run elsewhere after ${Math.round((Date.now() - start) / 1000)} s`);
        await cluster.make`up`;
        await cluster.kubectl`wait --for=condition=Ready node/worker-1 --timeout=30s`;
        await cluster.kubectl`delete deployment moving`;
      }),
  },
  {
    name: "a control-plane machine lost for good, replaced by `make up`",
    quorum: "kept",
    run: (cluster) =>
      whileWriting(cluster, async () => {
        await cluster.cloud`terminate controller-1`;
        await cluster.make`up`;
        await healthy(cluster);
      }),
  },
  {
    name: "two of three control-plane machines killed, then started again",
    quorum: "lost",
    run: (cluster) =>
      whileWriting(cluster, async (writer) => {
        await Promise.all(["controller-1", "controller-2"].map((name) => cluster.cloud`kill ${name}`));
        await sleep(5);
        const stalled = writer.count;
        await sleep(8);
        expect(writer.count, "writes stop without a quorum").toBe(stalled);
        const why = await cluster.trySsh(
          "controller-0",
          `${etcdctl} get /registry/namespaces/default --command-timeout=3s 2>&1`,
        );
        expect(why.exitCode).not.toBe(0);
        expect(why.all).toMatch(/deadline exceeded|no leader/i);
        await Promise.all(["controller-1", "controller-2"].map((name) => cluster.cloud`start ${name}`));
        await healthy(cluster);
      }),
  },
  {
    name: "two of three control-plane machines lost for good: `make up` refuses, a snapshot brings the cluster back",
    quorum: "lost",
    long: true,
    run: async (cluster) => {
      // a write was acknowledged by two of three; the leader is always one of them
      await leadBy(cluster, "controller-0");
      return whileWriting(cluster, async () => {
        const lost = ["controller-1", "controller-2"];
        await Promise.all(lost.map((name) => cluster.cloud`terminate ${name}`));
        const refusal = await cluster.tryMake`up`;
        expect(refusal.all).toContain("refusing to form an etcd cluster");
        expect(refusal.all).toContain("make restore STACK=<stack> SNAPSHOT=controller-0:/var/lib");
        await cluster.make`restore SNAPSHOT=${await takeSnapshot(cluster)}`;
        await cluster.make`up`;
        await healthy(cluster);
      });
    },
  },
  {
    name: "a snapshot restored while one control-plane machine is off: it cannot undo that, and `make up` lets it join",
    quorum: "lost",
    long: true,
    run: async (cluster) => {
      const snapshot = await takeSnapshot(cluster);
      await cluster.kubectl`create configmap later -n default`;
      await cluster.cloud`stop controller-2`;
      await cluster.make`restore SNAPSHOT=${snapshot}`;
      return whileWriting(cluster, async (writer) => {
        await cluster.cloud`start controller-2`;
        await eventually("etcd to reject the member with the former data", 60, async () => {
          const log = await cluster.trySsh("controller-2", "sudo journalctl -u etcd -n 200 --no-pager -o cat");
          return log.all.includes("cluster ID mismatch") ? { done: undefined } : { saw: log.all.slice(-300) };
        });
        await until(writer, writer.count + 20);
        await cluster.make`up`;
        await healthy(cluster);
        expect(await cluster.ssh("controller-2", "sudo ls -d /var/lib/etcd.before-*")).not.toBe("");
        expect((await cluster.tryKubectl`get configmap later -n default`).all).toContain("not found");
      });
    },
  },
  {
    name: "etcd's data directory lost on all three: `make up` refuses an empty cluster, a snapshot brings the data back",
    quorum: "lost",
    long: true,
    run: (cluster) =>
      whileWriting(cluster, async () => {
        const machines = ["controller-0", "controller-1", "controller-2"];
        // the API servers end first, so that no write is acknowledged after the snapshot
        for (const machine of machines) await cluster.ssh(machine, "sudo systemctl stop kube-apiserver");
        const snapshot = await takeSnapshot(cluster);
        for (const machine of machines)
          await cluster.ssh(machine, "sudo systemctl stop etcd && sudo rm -r /var/lib/etcd/member");
        const refusal = await cluster.tryMake`up`;
        expect(refusal.exitCode).not.toBe(0);
        expect(refusal.all).toContain("refusing to form an etcd cluster");
        await cluster.make`restore SNAPSHOT=${snapshot}`;
        await cluster.make`up`;
        await healthy(cluster);
      }),
  },
];

/** Path of a snapshot that `make snapshot` has fetched. */
export async function takeSnapshot(cluster: TestCluster): Promise<string> {
  const [path = ""] = (await cluster.make`snapshot`).split("\n");
  expect(statSync(join(root, path)).mode & 0o777).toBe(0o600);
  return path;
}

/** Seconds by which a machine's API server is ahead, according to the date in its responses. */
async function clockOf(cluster: TestCluster, machine: string): Promise<number> {
  const headers = await cluster.ssh(machine, "curl -sk -D - -o /dev/null https://127.0.0.1:6443/livez");
  const date = /^date: (.*)$/im.exec(headers)?.[1] ?? "";
  return (Date.parse(date) - Date.now()) / 1000;
}

/** Two pods, one per worker, that leave a node soon after it goes silent. */
const movingPods = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "moving", namespace: "default" },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: "moving" } },
    template: {
      metadata: { labels: { app: "moving" } },
      spec: {
        terminationGracePeriodSeconds: 0,
        containers: [{ name: "pause", image: images.pause }],
        tolerations: ["not-ready", "unreachable"].map((key) => ({
          key: `node.kubernetes.io/${key}`,
          operator: "Exists",
          effect: "NoExecute",
          tolerationSeconds: 5,
        })),
        topologySpreadConstraints: [
          {
            maxSkew: 1,
            topologyKey: "kubernetes.io/hostname",
            whenUnsatisfiable: "ScheduleAnyway",
            labelSelector: { matchLabels: { app: "moving" } },
          },
        ],
      },
    },
  },
};

/** How many of those pods are ready on a node and not being deleted. */
async function podsOn(cluster: TestCluster, node: string): Promise<number> {
  type Pod = {
    metadata: { deletionTimestamp?: string };
    spec: { nodeName?: string };
    status: { conditions?: { type: string; status: string }[] };
  };
  const { items } = JSON.parse(await cluster.kubectl`get pods -l app=moving -o json`) as { items: Pod[] };
  return items.filter(
    ({ metadata, spec, status }) =>
      metadata.deletionTimestamp === undefined &&
      spec.nodeName === node &&
      status.conditions?.some(({ type, status: value }) => type === "Ready" && value === "True"),
  ).length;
}
