/** A worker dies: what an ordinary client of DNS notices, and when an ordinary Deployment is whole again. */
import { beforeAll, expect, it } from "vitest";
import { images } from "../../cluster/versions";
import { labImages } from "../../labs/images";
import { ensureImagesFor } from "../../tools/toolchain";
import { eventually } from "../support/cluster";
import { clusterFor, type Needs } from "../support/needs";
import { record } from "../support/results";

const needs: Needs = { preset: "local" };
const cluster = clusterFor("dns", needs);

/** Looks a name up ten times a second or as often as it can, and prints when and how each look-up ended. */
const client = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "client", namespace: "default" },
  spec: {
    nodeName: "worker-1",
    terminationGracePeriodSeconds: 1,
    containers: [
      {
        name: "client",
        image: "docker.io/library/busybox:1.37",
        command: ["sh", "-c"],
        args: [
          "while :; do if nslookup kubernetes.default.svc.cluster.local >/dev/null 2>&1; then echo found; else echo failed; fi; usleep 100000; done",
        ],
      },
    ],
  },
};
/** As people write it: no tolerations of its own. */
const ordinary = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "ordinary", namespace: "default" },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: "ordinary" } },
    template: {
      metadata: { labels: { app: "ordinary" } },
      spec: {
        terminationGracePeriodSeconds: 1,
        topologySpreadConstraints: [
          {
            maxSkew: 1,
            topologyKey: "kubernetes.io/hostname",
            whenUnsatisfiable: "ScheduleAnyway",
            labelSelector: { matchLabels: { app: "ordinary" } },
          },
        ],
        containers: [{ name: "pause", image: images.pause }],
      },
    },
  },
};

/** The nodes of the pods with that label that are not being deleted and are Ready. */
async function nodesOf(label: string): Promise<string[]> {
  const { items } = JSON.parse(await cluster.kubectl`get pods -A -l ${label} -o json`) as {
    items: {
      metadata: { deletionTimestamp?: string };
      spec: { nodeName: string };
      status: { conditions?: { type: string; status: string }[] };
    }[];
  };
  const ready = items.filter(
    ({ metadata, status }) =>
      metadata.deletionTimestamp === undefined &&
      status.conditions?.some(({ type, status }) => type === "Ready" && status === "True"),
  );
  return ready.map(({ spec }) => spec.nodeName).sort();
}
const lookups = async (): Promise<{ found: number; failed: number }> => {
  const words = (await cluster.kubectl`logs client`).split("\n");
  const count = (word: string) => words.filter((each) => each === word).length;
  return { found: count("found"), failed: count("failed") };
};

beforeAll(async () => {
  await ensureImagesFor(labImages);
  for (const object of [client, ordinary]) await cluster.apply(JSON.stringify(object));
  await cluster.kubectl`rollout status deployment/ordinary --timeout=90s`;
  await cluster.kubectl`wait --for=condition=Ready pod/client --timeout=60s`;
});

it("a worker with a CoreDNS pod dies: no look-up fails, and both workloads are whole again on what is left", async () => {
  expect(await nodesOf("k8s-app=kube-dns")).toEqual(["worker-0", "worker-1"]);
  expect(await nodesOf("app=ordinary")).toEqual(["worker-0", "worker-1"]);
  await eventually("the client to have looked up twenty names", 60, async () => {
    const { found, failed } = await lookups();
    return found > 20 ? { done: undefined } : { saw: `${found} found, ${failed} failed` };
  });
  const before = await lookups();
  await cluster.cloud`kill worker-0`;
  const start = Date.now();
  const whole: Record<string, number> = {};
  await eventually("both to be whole again", 480, async () => {
    const nodes = { dns: await nodesOf("k8s-app=kube-dns"), ordinary: await nodesOf("app=ordinary") };
    for (const [name, where] of Object.entries(nodes))
      if (where.length === 2 && !where.includes("worker-0")) whole[name] ??= (Date.now() - start) / 1000;
    const saw = JSON.stringify(nodes);
    return Object.keys(whole).length === 2 ? { done: undefined } : { saw };
  });
  const after = await lookups();
  const failed = after.failed - before.failed;
  record("a worker dies: look-ups of a client elsewhere", `${after.found - before.found} found, ${failed} failed`);
  record("a worker dies: an ordinary Deployment is whole again", `after ${whole["ordinary"]?.toFixed(0)} s`);
  expect(failed).toBe(0);
  expect(await nodesOf("k8s-app=kube-dns")).toEqual(["controller-0", "worker-1"]);
  await cluster.cloud`start worker-0`;
  await cluster.make`up`;
});

it("pods that ended with the shutdown of their machine do not stay listed once it is back", async () => {
  await cluster.kubectl`rollout restart deployment/ordinary`;
  await cluster.kubectl`rollout status deployment/ordinary --timeout=90s`;
  expect(await nodesOf("app=ordinary")).toContain("worker-0");
  const ended = async (): Promise<string> => {
    const pods = await cluster.kubectl`get pods -A --field-selector spec.nodeName=worker-0 --no-headers`;
    return pods
      .split("\n")
      .filter((line) => line.includes("Completed") || line.includes("Error"))
      .join("\n");
  };
  await cluster.trySsh("worker-0", "sudo systemctl poweroff");
  await eventually("its pods to have ended", 120, async () => {
    const saw = await ended();
    return saw.includes("ordinary") ? { done: undefined } : { saw };
  });
  await cluster.make`up`;
  await eventually("them to be forgotten", 60, async () => {
    const saw = await ended();
    return saw === "" ? { done: undefined } : { saw };
  });
});
