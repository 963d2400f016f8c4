/** Deployment -> ReplicaSet -> Pod: a rollout, a rollback, and a rollout that is stuck. */
import type { Bench } from "../framework/bench";
import { atLeast, atMost } from "../framework/expectation";
import type { Stored } from "../framework/kinds";
import type { Lab } from "../framework/lab";
import type { Live } from "../framework/live";
import { conditionOf, isReady } from "../framework/states";

type ReplicaSet = Stored<"ReplicaSet">;
type Deployment = Stored<"Deployment">;

const oldImage = "docker.io/library/busybox:1.35";
const newImage = "docker.io/library/busybox:1.37";
const hashLabel = "pod-template-hash";

const imageOf = (set: ReplicaSet): string | undefined => set.spec.template?.spec?.containers[0]?.image;
const revisionOf = (set: ReplicaSet): string | undefined =>
  set.metadata.annotations?.["deployment.kubernetes.io/revision"];
const hashOf = (set: ReplicaSet): string => set.metadata.labels?.[hashLabel] ?? "";

/** As `kubectl rollout status` judges it: the controller has seen the newest template and every replica is of it. */
const rolledOut = ([web]: readonly Deployment[]): boolean =>
  web !== undefined &&
  web.status.observedGeneration === web.metadata.generation &&
  web.status.updatedReplicas === web.spec.replicas &&
  web.status.replicas === web.spec.replicas &&
  web.status.availableReplicas === web.spec.replicas;

/** The narrowest moments of a rollout, over every state that the API reported. */
function extremes(pods: Live<"Pod">, since: number): { mostPods: number; fewestReady: number; moments: number } {
  const moments = pods.history.filter((moment) => moment.at >= since);
  const present = moments.map((moment) => moment.items.filter((pod) => !pod.metadata.deletionTimestamp));
  return {
    mostPods: Math.max(...present.map((items) => items.length)),
    fewestReady: Math.min(...present.map((items) => items.filter(isReady).length)),
    moments: moments.length,
  };
}

/** What `kubectl rollout undo` does: the template of an old ReplicaSet, without its hash, becomes the Deployment's. */
async function undo(bench: Bench, to: ReplicaSet): Promise<void> {
  const web = await bench.api.get("Deployment", "web", bench.namespace);
  const template = structuredClone(to.spec.template!);
  delete template.metadata?.labels?.[hashLabel];
  await bench.api.replace({ ...web, apiVersion: "apps/v1", kind: "Deployment", spec: { ...web.spec, template } });
}

async function experiment(bench: Bench): Promise<void> {
  const deployments = await bench.watch("Deployment");
  const sets = await bench.watch("ReplicaSet");
  const pods = await bench.watch("Pod");
  const set = (image: string): ReplicaSet => sets.items.find((s) => imageOf(s) === image)!;
  const container = (image: string, extra: object = {}) => ({
    spec: {
      template: {
        spec: { containers: [{ ...deployments.items[0]!.spec.template.spec!.containers[0], image, ...extra }] },
      },
    },
  });

  await bench.baseline("three replicas of version 1.35 are available", async () => {
    await bench.apply("web.yaml");
    await deployments.until("Deployment web to be available", rolledOut, 60);
  });
  const [web] = deployments.items;
  const first = set(oldImage);
  bench.claim(
    "each pod is owned by the ReplicaSet",
    [...new Set(pods.items.map((p) => p.metadata.ownerReferences?.[0]?.name))],
    [first.metadata.name],
  );
  bench.claim("the ReplicaSet is owned by the Deployment", first.metadata.ownerReferences?.[0]?.uid, web!.metadata.uid);
  bench.claim("the ReplicaSet is named after the hash of its template", first.metadata.name, `web-${hashOf(first)}`);
  bench.claim(
    "every pod carries that hash",
    pods.items.map((p) => p.metadata.labels?.[hashLabel]),
    Array<string>(3).fill(hashOf(first)),
  );

  const started = bench.timeline.now();
  await bench.disturb("the image becomes 1.37", async () => {
    await bench.api.patch("Deployment", "web", bench.namespace, container(newImage));
  });
  await bench.observe("the rollout, moment by moment", () => deployments.until("the rollout to end", rolledOut, 90));
  const second = set(newImage);
  const seen = extremes(pods, started);
  bench.keep("rollout", seen);
  bench.claim("moments seen", seen.moments, atLeast(6));
  bench.claim("never more pods than replicas + maxSurge", seen.mostPods, atMost(4));
  bench.claim("never fewer ready pods than replicas - maxUnavailable", seen.fewestReady, atLeast(2));
  bench.claim("a new template made a new ReplicaSet", sets.items.length, 2);
  bench.claim("the new ReplicaSet has all replicas", second.spec.replicas, 3);
  bench.claim(
    "the old one is kept at 0, with its template",
    [set(oldImage).spec.replicas, imageOf(set(oldImage))],
    [0, oldImage],
  );
  bench.claim("they are revisions 1 and 2", [revisionOf(set(oldImage)), revisionOf(second)], ["1", "2"]);

  await bench.disturb("scale to 4: the template does not change", async () => {
    await bench.api.patch("Deployment", "web", bench.namespace, { spec: { replicas: 4 } }, { subresource: "scale" });
    await deployments.until("4 replicas", rolledOut, 30);
  });
  bench.claim("scaling makes no revision", [sets.items.length, revisionOf(set(newImage))], [2, "2"]);

  await bench.disturb("roll back to revision 1", () => undo(bench, set(oldImage)));
  await bench.observe("the old ReplicaSet comes back", () => deployments.until("the rollback to end", rolledOut, 90));
  const back = set(oldImage);
  bench.claim(
    "it is the same ReplicaSet, found by its hash",
    [back.metadata.uid, hashOf(back)],
    [first.metadata.uid, hashOf(first)],
  );
  bench.claim("there is no third one", sets.items.length, 2);
  bench.claim("what was revision 1 is now revision 3", sets.items.map(revisionOf).sort(), ["2", "3"]);
  bench.claim(
    "the Deployment is at revision 3",
    deployments.items[0]!.metadata.annotations?.["deployment.kubernetes.io/revision"],
    "3",
  );

  const stuckAt = bench.timeline.now();
  await bench.disturb("a version that never becomes ready, with 6 s to make progress", async () => {
    const broken = container(newImage, {
      readinessProbe: { periodSeconds: 1, httpGet: { port: 8080, path: "/does-not-exist" } },
    });
    await bench.api.patch("Deployment", "web", bench.namespace, {
      spec: { ...broken.spec, progressDeadlineSeconds: 6 },
    });
  });
  const stuck = await bench.observe("the deadline passes", () =>
    deployments.until(
      "Progressing to be False",
      ([d]) => d !== undefined && conditionOf(d, "Progressing")?.status === "False",
      60,
    ),
  );
  bench.claim("the reason is the deadline", conditionOf(stuck[0]!, "Progressing")?.reason, "ProgressDeadlineExceeded");
  bench.claim(
    "the old pods go on serving (4 replicas - maxUnavailable)",
    extremes(pods, stuckAt).fewestReady,
    atLeast(3),
  );
  bench.claim("nothing is rolled back by itself", deployments.items[0]!.status.updatedReplicas ?? 0, atLeast(1));

  await bench.disturb("roll back, and keep only one old revision", async () => {
    await undo(bench, back);
    await bench.api.patch("Deployment", "web", bench.namespace, { spec: { revisionHistoryLimit: 1 } });
  });
  await bench.observe("the Deployment is whole again", async () => {
    await deployments.until("the rollback to end", rolledOut, 60);
    await sets.until("old ReplicaSets beyond the limit to go", (items) => items.length === 2, 30);
  });
  bench.claim(
    "progress is reported again",
    conditionOf(deployments.items[0]!, "Progressing")?.reason,
    "NewReplicaSetAvailable",
  );
  bench.claim(
    "revisionHistoryLimit 1 keeps one ReplicaSet at 0",
    sets.items.filter((s) => s.spec.replicas === 0).length,
    1,
  );
}

export default {
  name: "deployment",
  title: "Deployment: rollout and rollback",
  part: "IV · Workloads",
  hypothesis:
    "A Deployment runs no pods itself. Every template gets a ReplicaSet named after its hash; a rollout shifts replicas between two of them within maxSurge and maxUnavailable, and the old one stays at 0 so that going back is only another shift.",
  experiment,
} satisfies Lab;
