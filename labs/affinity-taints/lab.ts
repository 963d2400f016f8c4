/** Pulling pods to nodes, pushing pods apart, and nodes that push pods away. */
import type { Bench } from "../framework/bench";
import { between, contains, otherThan } from "../framework/expectation";
import type { Stored } from "../framework/kinds";
import type { Lab } from "../framework/lab";
import { labPrefix } from "../framework/manifests";
import { conditionOf, isReady, isWorker } from "../framework/states";

type Pod = Stored<"Pod">;
const disk = `${labPrefix}disk`;
const dedicated = { key: `${labPrefix}dedicated`, value: "team-a", effect: "NoSchedule" };
const maintenance = { key: `${labPrefix}maintenance`, effect: "NoExecute" };

const whyNot = (pod: Pod | undefined): string => conditionOf(pod ?? {}, "PodScheduled")?.message ?? "";
const undecided = (pod: Pod): boolean => conditionOf(pod, "PodScheduled")?.reason === "Unschedulable";
const countByNode = (pods: readonly Pod[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const { spec } of pods) if (spec.nodeName) counts[spec.nodeName] = (counts[spec.nodeName] ?? 0) + 1;
  return counts;
};

async function experiment(bench: Bench): Promise<void> {
  const workers = (await bench.api.list("Node"))
    .filter(isWorker)
    .map((n) => n.metadata.name)
    .sort();
  const [first, second] = workers as [string, string];
  await attraction(bench, workers);
  await separation(bench, workers);
  await repulsion(bench, first, second);
  await eviction(bench, await emptiest(bench, workers));
}

/** nodeAffinity: required is a filter, preferred is a score. */
async function attraction(bench: Bench, workers: readonly string[]): Promise<void> {
  const pods = await bench.watch("Pod", { labels: "!app" });
  await bench.disturb("two pods want a node with an SSD, and no node has the label", () =>
    bench.apply("attracted.yaml"),
  );
  await bench.observe("the scheduler decides", () =>
    pods.until(
      "the scheduler to decide on both pods",
      (items) => items.length === 2 && undecided(pods.named("must")!) && isReady(pods.named("would-like")!),
      45,
    ),
  );
  bench.claim("required: stuck", whyNot(pods.named("must")), contains("didn't match Pod's node affinity/selector"));
  bench.claim("preferred: placed anyway", pods.named("would-like")!.status.phase, "Running");
  // Not the node that scoring chose without the label, or the label would prove nothing.
  const chosen = workers.find((name) => name !== pods.named("would-like")!.spec.nodeName)!;

  await bench.disturb(`${chosen} gets the label, and the second pod is created again`, async () => {
    await bench.api.patch("Node", chosen, undefined, { metadata: { labels: { [disk]: "ssd" } } });
    await bench.api.delete("Pod", "would-like", bench.namespace);
    await pods.until("the old pod to be gone", () => !pods.named("would-like"), 20);
    await bench.apply("attracted.yaml");
  });
  await bench.observe("both are drawn there", () =>
    pods.until("both to be Ready", (items) => items.length === 2 && items.every(isReady), 45),
  );
  bench.claim(
    "required: bound to the labelled node, without being created again",
    pods.named("must")!.spec.nodeName,
    chosen,
  );
  bench.claim(
    "preferred: drawn there too, away from its earlier node",
    pods.named("would-like")!.spec.nodeName,
    chosen,
  );
  await bench.disturb("the label is removed", () =>
    bench.api.patch("Node", chosen, undefined, { metadata: { labels: { [disk]: null } } }),
  );
  await bench.observe("two seconds later", () => bench.pause(2));
  bench.claim("IgnoredDuringExecution: pods already running there stay", pods.items.filter(isReady).length, 2);
}

/** podAntiAffinity and topology spread: pods that look at other pods. */
async function separation(bench: Bench, workers: readonly string[]): Promise<void> {
  const apart = await bench.watch("Pod", { labels: "app=apart" });
  const places = workers.length;
  await bench.disturb("one more replica than there are workers, and no two may share a machine", () =>
    bench.apply("apart.yaml", (object) => {
      object["spec"] = { ...(object["spec"] as object), replicas: places + 1 };
    }),
  );
  await bench.observe("all but the last find a machine", () =>
    apart.until(
      "all but one to be Ready",
      (items) => items.filter(isReady).length === places && items.some(undecided),
      60,
    ),
  );
  bench.claim("one replica per worker", Object.values(countByNode(apart.items)), Array<number>(places).fill(1));
  bench.claim(
    "the last has nowhere to go",
    whyNot(apart.items.find(undecided)),
    contains("didn't match pod anti-affinity rules"),
  );

  const even = await bench.watch("Pod", { labels: "app=even" });
  await bench.disturb("replicas under a topology spread constraint", () =>
    bench.apply("even.yaml", (object) => {
      object["spec"] = { ...(object["spec"] as object), replicas: 2 * places };
    }),
  );
  await bench.observe("they are spread", () =>
    even.until("all to be Ready", (items) => items.length === 2 * places && items.every(isReady), 60),
  );
  bench.claim(
    "the same number on every worker",
    countByNode(even.items),
    Object.fromEntries(workers.map((w) => [w, 2])),
  );
  for (const name of ["apart", "even"])
    await bench.api.delete("Deployment", name, bench.namespace, { propagation: "Background" });
}

/** NoSchedule: the node accepts no new pods that do not tolerate the taint; those already there stay. */
async function repulsion(bench: Bench, first: string, second: string): Promise<void> {
  const pods = await bench.watch("Pod", { labels: "app=guest" });
  const guest = (name: string, spec: object) => {
    const [pod] = bench.manifests("guests.yaml");
    return { ...pod!, metadata: { ...pod!.metadata, name }, spec: { ...(pod!["spec"] as object), ...spec } };
  };
  const toSecond = { nodeSelector: { "kubernetes.io/hostname": second } };
  const toleration = {
    tolerations: [{ key: dedicated.key, operator: "Equal", value: dedicated.value, effect: dedicated.effect }],
  };
  await bench.baseline(`a pod runs on ${second}`, async () => {
    await bench.create(guest("early", toSecond));
    await pods.until("pod early to be Ready", (items) => items.some(isReady), 45);
  });
  await bench.disturb(`${second} is tainted for team-a only`, () => taint(bench, second, dedicated));
  await bench.observe("new pods", async () => {
    await bench.create(guest("refused", toSecond));
    await bench.create(guest("elsewhere", {}));
    await bench.create(guest("tolerant", { ...toSecond, ...toleration }));
    await pods.until(
      "the scheduler to decide on all of them",
      (items) => items.length === 4 && items.every((p) => isReady(p) || undecided(p)),
      45,
    );
  });
  bench.claim("a pod that tolerates nothing is refused", whyNot(pods.named("refused")), contains("untolerated taint"));
  bench.claim("or goes elsewhere", pods.named("elsewhere")!.spec.nodeName ?? "", otherThan(second));
  bench.claim("a pod that tolerates the taint is admitted", pods.named("tolerant")!.spec.nodeName, second);
  bench.claim("a pod that was already there stays", isReady(pods.named("early")!), true);
  await bench.disturb("the taint is removed", () => taint(bench, second));
  await bench.observe("the refused pod is placed", () =>
    pods.until("it to be Ready", (items) => items.every(isReady), 45),
  );
  bench.claim("the refused pod is bound, without being touched", pods.named("refused")!.spec.nodeName, second);
  bench.keep("workers", [first, second]);
  for (const pod of pods.items) await bench.api.delete("Pod", pod.metadata.name, bench.namespace);
  await pods.until("the guests to be gone", (items) => items.length === 0, 30);
}

/** NoExecute: the node also evicts pods that are already there. */
async function eviction(bench: Bench, node: string): Promise<void> {
  const pods = await bench.watch("Pod", { labels: "app=guest" });
  await bench.baseline(`three pods on ${node}`, async () => {
    await bench.apply("guests.yaml", (pod) => {
      pod["spec"] = { ...(pod["spec"] as object), nodeSelector: { "kubernetes.io/hostname": node } };
    });
    await pods.until("three Ready pods", (items) => items.length === 3 && items.every(isReady), 45);
  });
  const tainted = bench.timeline.now();
  await bench.disturb(`${node} is tainted NoExecute`, () => taint(bench, node, maintenance));
  await bench.observe("which pods leave, and when", () =>
    pods.until(
      "two pods to be evicted",
      (items) => items.filter((p) => !p.metadata.deletionTimestamp).length === 1,
      45,
    ),
  );
  const secondsUntilEvicted = (name: string): number =>
    (pods.history.find(
      (m) =>
        m.at >= tainted &&
        m.object.metadata.name === name &&
        (m.object.metadata.deletionTimestamp ?? m.type === "DELETED"),
    )?.at ?? Infinity) - tainted;
  const lingered = secondsUntilEvicted("lingers");
  bench.claim("without a toleration: evicted at once (seconds)", secondsUntilEvicted("leaves"), between(0, 3));
  bench.claim("with tolerationSeconds 5: evicted after that time (seconds)", lingered, between(4.5, 9));
  bench.claim(
    "with a toleration that has no limit: not evicted",
    pods.items.filter((p) => !p.metadata.deletionTimestamp).map((p) => p.metadata.name),
    ["stays"],
  );
  const reason = pods.history.find(
    (m) => m.object.metadata.name === "lingers" && conditionOf(m.object, "DisruptionTarget"),
  )?.object;
  bench.claim(
    "the pod's status gives the reason for its eviction",
    conditionOf(reason ?? {}, "DisruptionTarget")?.reason,
    "DeletionByTaintManager",
  );
  await bench.disturb("the taint is removed", () => taint(bench, node));
  await bench.observe("what was evicted from kube-system is running again", () =>
    bench.until(
      "the Deployments of kube-system to be available",
      () => bench.api.list("Deployment", { namespace: "kube-system" }),
      (items) => items.every((d) => (d.status.availableReplicas ?? 0) >= (d.spec.replicas ?? 1)),
      60,
    ),
  );
}

/** Gives a node this lab's taint, or removes it. Other taints stay. */
async function taint(bench: Bench, name: string, own?: { key: string; value?: string; effect: string }): Promise<void> {
  const node = await bench.api.get("Node", name);
  const others = (node.spec.taints ?? []).filter((t) => !t.key.startsWith(labPrefix));
  await bench.api.patch("Node", name, undefined, { spec: { taints: own ? [...others, own] : others } });
}

/** The worker with the fewest kube-system pods: NoExecute evicts those too. */
async function emptiest(bench: Bench, workers: readonly string[]): Promise<string> {
  const counts = countByNode(await bench.api.list("Pod", { namespace: "kube-system" }));
  return [...workers].sort((a, b) => (counts[a] ?? 0) - (counts[b] ?? 0))[0]!;
}

export default {
  name: "affinity-taints",
  title: "Affinity, taints, and tolerations",
  part: "VII · Scheduling",
  hypothesis:
    "Affinity is the pod's wish and works through labels; a taint is the node's refusal and works through tolerations. Required rules and NoSchedule act when a pod is placed; NoExecute also acts on running pods, after the time that they tolerate it.",
  needs: ["two-workers"],
  experiment,
} satisfies Lab;
