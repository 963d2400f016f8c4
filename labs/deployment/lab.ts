/** Deployment -> ReplicaSet -> Pod: a rollout, a rollback, and a rollout that is stuck. */
import type { Bench } from "../framework/bench";
import { atLeast, atMost, between, such } from "../framework/expectation";
import type { Stored } from "../framework/kinds";
import type { Lab } from "../framework/lab";
import type { Live } from "../framework/live";
import { conditionOf, isReady } from "../framework/states";

type ReplicaSet = Stored<"ReplicaSet">;
type Deployment = Stored<"Deployment">;

const oldImage = "docker.io/library/busybox:1.35";
const newImage = "docker.io/library/busybox:1.37";
const hashLabel = "pod-template-hash";
const revision = "deployment.kubernetes.io/revision";
const cause = "kubernetes.io/change-cause";

const imageOf = (set: ReplicaSet): string | undefined => set.spec.template?.spec?.containers[0]?.image;
const revisionOf = (set: ReplicaSet): string | undefined => set.metadata.annotations?.[revision];
const hashOf = (set: ReplicaSet): string => set.metadata.labels?.[hashLabel] ?? "";

/** As `kubectl rollout status` judges it: the controller has seen the newest template and every replica uses it. */
const rolledOut = ([web]: readonly Deployment[]): boolean =>
  web !== undefined &&
  web.status.observedGeneration === web.metadata.generation &&
  web.status.updatedReplicas === web.spec.replicas &&
  web.status.replicas === web.spec.replicas &&
  web.status.availableReplicas === web.spec.replicas;

/** A rollout in every state that the API reported, and its extremes. */
function traced(pods: Live<"Pod">, since: number) {
  const moments = pods.history
    .filter((moment) => moment.at >= since)
    .map(({ at, items }) => {
      const present = items.filter((pod) => !pod.metadata.deletionTimestamp);
      return { at, pods: present.length, ready: present.filter(isReady).length };
    });
  return {
    mostPods: Math.max(...moments.map((m) => m.pods)),
    fewestReady: Math.min(...moments.map((m) => m.ready)),
    moments,
  };
}

/** The sizes that the Deployment gave a ReplicaSet, in order. */
function sizes(sets: Live<"ReplicaSet">, image: string, since: number): number[] {
  const wanted = sets.history
    .filter((moment) => moment.at >= since && imageOf(moment.object) === image)
    .map((moment) => moment.object.spec.replicas ?? 0);
  return wanted.filter((size, i) => size !== wanted[i - 1]);
}
const falling = such<number[]>(
  "only ever smaller, down to 0",
  (list) => list.every((n, i) => i === 0 || n < list[i - 1]!) && list.at(-1) === 0 && list.length > 1,
);
const rising = such<number[]>(
  "only ever larger, up to 3",
  (list) => list.every((n, i) => i === 0 || n > list[i - 1]!) && list.at(-1) === 3 && list.length > 1,
);

/** Like `kubectl rollout undo`: restores an old ReplicaSet's template (without its hash) and change cause. */
async function undo(bench: Bench, to: ReplicaSet): Promise<void> {
  const web = await bench.api.get("Deployment", "web", bench.namespace);
  const template = structuredClone(to.spec.template!);
  delete template.metadata?.labels?.[hashLabel];
  const metadata = {
    ...web.metadata,
    annotations: { ...web.metadata.annotations, [cause]: to.metadata.annotations?.[cause] ?? "" },
  };
  await bench.api.replace({
    ...web,
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata,
    spec: { ...web.spec, template },
  });
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
  await bench.disturb("the image changes to 1.37", async () => {
    await bench.api.patch("Deployment", "web", bench.namespace, {
      metadata: { annotations: { [cause]: "busybox 1.37" } },
      ...container(newImage),
    });
  });
  await bench.observe("the rollout, state by state", () => deployments.until("the rollout to finish", rolledOut, 90));
  const second = set(newImage);
  const seen = traced(pods, started);
  bench.keep("rollout", seen);
  bench.claim("states seen", seen.moments.length, atLeast(6));
  bench.claim("never more pods than replicas + maxSurge", seen.mostPods, atMost(4));
  bench.claim("never fewer ready pods than replicas - maxUnavailable", seen.fewestReady, atLeast(2));
  bench.claim("the old ReplicaSet shrinks step by step", sizes(sets, oldImage, started), falling);
  bench.claim("while the new one grows", sizes(sets, newImage, started), rising);
  bench.claim("the new template created a new ReplicaSet", sets.items.length, 2);
  bench.claim("the new ReplicaSet has all replicas", second.spec.replicas, 3);
  bench.claim(
    "the old one is kept at 0, with its template",
    [set(oldImage).spec.replicas, imageOf(set(oldImage))],
    [0, oldImage],
  );
  bench.claim(
    "the ReplicaSets are the history: number and cause of each revision",
    [set(oldImage), second].map((s) => [revisionOf(s), s.metadata.annotations?.[cause]]),
    [
      ["1", "busybox 1.35"],
      ["2", "busybox 1.37"],
    ],
  );
  const history = await bench.kubectl("rollout", "history", "deployment/web");
  if (history)
    bench.claim("and kubectl rollout history shows the same", table(history.stdout), [
      ["1", "busybox 1.35"],
      ["2", "busybox 1.37"],
    ]);

  await bench.disturb("scale to 4, without changing the template", async () => {
    await bench.api.patch("Deployment", "web", bench.namespace, { spec: { replicas: 4 } }, { subresource: "scale" });
    await deployments.until("4 replicas", rolledOut, 30);
  });
  bench.claim("scaling does not create a revision", [sets.items.length, revisionOf(set(newImage))], [2, "2"]);

  await bench.disturb("roll back to revision 1", () => undo(bench, set(oldImage)));
  await bench.observe("the old ReplicaSet comes back", () =>
    deployments.until("the rollback to finish", rolledOut, 90),
  );
  const back = set(oldImage);
  bench.claim(
    "it is the same ReplicaSet, found by its hash",
    [back.metadata.uid, hashOf(back)],
    [first.metadata.uid, hashOf(first)],
  );
  bench.claim("no third ReplicaSet was created", sets.items.length, 2);
  bench.claim("what was revision 1 is now revision 3", sets.items.map(revisionOf).sort(), ["2", "3"]);
  bench.claim(
    "it remembers its earlier number",
    back.metadata.annotations?.["deployment.kubernetes.io/revision-history"],
    "1",
  );
  bench.claim("the Deployment is at revision 3", deployments.items[0]!.metadata.annotations?.[revision], "3");

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
  // The deadline counts from the last progress: the creation of the last new pod, a little after the change.
  bench.claim(
    "seconds from the change until that was reported (progressDeadlineSeconds: 6)",
    deployments.history.find((m) => m.at >= stuckAt && conditionOf(m.object, "Progressing")?.status === "False")!.at -
      stuckAt,
    between(5, 15),
  );
  const during = traced(pods, stuckAt);
  bench.keep("stuck rollout", during);
  bench.claim("the old pods keep serving (4 replicas - maxUnavailable)", during.fewestReady, atLeast(3));
  bench.claim("and no more than one is added (maxSurge)", during.mostPods, atMost(5));
  bench.claim(
    "nothing rolls back by itself: the newest template is still the broken one",
    [
      deployments.items[0]!.metadata.annotations?.[revision],
      deployments.items[0]!.spec.template.spec!.containers[0]!.readinessProbe?.httpGet?.path,
    ],
    ["4", "/does-not-exist"],
  );

  await bench.disturb("roll back, and keep only one old revision", async () => {
    await undo(bench, back);
    await bench.api.patch("Deployment", "web", bench.namespace, { spec: { revisionHistoryLimit: 1 } });
  });
  await bench.observe("the Deployment recovers", async () => {
    await deployments.until("the rollback to finish", rolledOut, 60);
    await sets.until("old ReplicaSets beyond the limit to be deleted", (items) => items.length === 2, 30);
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

/** Number and cause of each revision in the table that kubectl prints. */
const table = (text: string): string[][] =>
  [...text.matchAll(/^(\d+)\s+(.+?)\s*$/gm)].map(([, number, why]) => [number!, why!]);

export default {
  name: "deployment",
  title: "Deployment: rollout and rollback",
  part: "IV · Workloads",
  hypothesis:
    "A Deployment does not run pods itself. Every template gets a ReplicaSet named after its hash; a rollout shifts replicas between two of them within maxSurge and maxUnavailable, and the old one stays at 0, so rolling back is just another shift.",
  experiment,
} satisfies Lab;
