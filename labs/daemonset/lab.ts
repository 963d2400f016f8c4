/** DaemonSet: one pod per node, including a node added and removed through the stack's own worker count. */
import type { Bench } from "../framework/bench";
import { atMost, contains, such } from "../framework/expectation";
import type { Stored } from "../framework/kinds";
import type { Lab } from "../framework/lab";
import type { Live } from "../framework/live";
import { labPrefix } from "../framework/manifests";
import { conditionOf, controlPlane, has, isReady, isWorker } from "../framework/states";

type Pod = Stored<"Pod">;
const group = `${labPrefix}disk`;
const cni = { live: "/etc/cni/net.d", aside: "/etc/cni/net.d.lab" };

const nodesOf = (pods: readonly Pod[]): string[] => pods.map((pod) => pod.spec.nodeName ?? "").sort();
const runsOn = (nodes: readonly string[]) => (pods: readonly Pod[]) =>
  pods.every(isReady) && JSON.stringify(nodesOf(pods)) === JSON.stringify([...nodes].sort());

/** The node that the DaemonSet controller wrote into a pod's affinity; the scheduler only binds the pod to it. */
const pinnedTo = (pod: Pod): string | undefined =>
  pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms[0]
    ?.matchFields?.[0]?.values?.[0];

/** The most agents that any node had at once, not counting those that were being deleted. */
function mostPerNode(pods: Live<"Pod">): number {
  const counts = pods.history.flatMap(({ items }) => {
    const nodes = items.filter((pod) => !pod.metadata.deletionTimestamp).map(pinnedTo);
    return nodes.map((node) => nodes.filter((other) => other === node).length);
  });
  return Math.max(...counts);
}

async function experiment(bench: Bench): Promise<void> {
  const nodes = await bench.watch("Node", { namespace: "" });
  const pods = await bench.watch("Pod", { labels: "app=agent" });
  const workers = nodes.items.filter(isWorker).map((n) => n.metadata.name);
  const everyNode = nodes.items.map((n) => n.metadata.name);
  const label = (node: string, value: string | null) =>
    bench.api.patch("Node", node, undefined, { metadata: { labels: { [group]: value } } });
  const template = (spec: object) =>
    bench.api.patch("DaemonSet", "agent", bench.namespace, { spec: { template: { spec } } });

  await bench.baseline("the agent runs on every worker", async () => {
    await bench.apply("agent.yaml");
    await pods.until("an agent on each worker", runsOn(workers), 60);
  });
  bench.claim(
    "exactly one pod on each worker, none on the tainted control plane",
    nodesOf(pods.items),
    [...workers].sort(),
  );
  bench.claim(
    "each pod is pinned by node affinity to the name of its node",
    pods.items.map(pinnedTo),
    pods.items.map((p) => p.spec.nodeName),
  );
  const tolerated = pods.items[0]!.spec.tolerations?.map(
    (t) => `${t.key}:${t.effect}${t.tolerationSeconds === undefined ? "" : " for a while"}`,
  );
  bench.keep("tolerations that the controller adds", tolerated);
  bench.claim(
    "it tolerates a node that is not ready or not reachable, without a time limit",
    tolerated ?? [],
    such(
      "not-ready:NoExecute and unreachable:NoExecute",
      (list) =>
        list.includes("node.kubernetes.io/not-ready:NoExecute") &&
        list.includes("node.kubernetes.io/unreachable:NoExecute"),
    ),
  );

  const victim = pods.items[0]!;
  await bench.disturb("one agent is deleted", () => bench.api.delete("Pod", victim.metadata.name, bench.namespace));
  const again = await bench.observe("it is replaced", () =>
    pods.until(
      "a new agent on that node",
      (items) => runsOn(workers)(items) && items.every((p) => p.metadata.uid !== victim.metadata.uid),
      60,
    ),
  );
  bench.claim("on the same node", nodesOf(again), [...workers].sort());

  await bench.disturb("the template tolerates the control plane's taint", () =>
    template({ tolerations: [{ key: controlPlane, operator: "Exists", effect: "NoSchedule" }] }),
  );
  const everywhere = await bench.observe("the control plane gets agents too", () =>
    pods.until("an agent on every node", runsOn(everyNode), 90),
  );
  bench.claim("one pod on every node", nodesOf(everywhere), [...everyNode].sort());

  await bench.disturb("the template selects a group of nodes, with only the first worker in it", async () => {
    await label(workers[0]!, "ssd");
    await template({ nodeSelector: { [group]: "ssd" }, tolerations: null });
  });
  bench.claim(
    "only the group has agents",
    nodesOf(await pods.until("an agent on the first worker alone", runsOn([workers[0]!]), 60)),
    [workers[0]!],
  );
  await bench.disturb("the second worker joins the group", () => label(workers[1]!, "ssd"));
  bench.claim(
    "it gets an agent at once",
    nodesOf(await pods.until("agents on both", runsOn(workers.slice(0, 2)), 60)),
    workers.slice(0, 2).sort(),
  );
  await bench.disturb("the first worker leaves the group", () => label(workers[0]!, null));
  bench.claim(
    "its agent is removed",
    nodesOf(await pods.until("the second worker's agent alone", runsOn([workers[1]!]), 60)),
    [workers[1]!],
  );

  await notReady(bench, workers[1]!);

  await bench.disturb("the template selects every worker again", () => template({ nodeSelector: null }));
  await pods.until("an agent on each worker", runsOn(workers), 90);
  const next = `worker-${workers.length}`;
  await bench.disturb(`the stack gets one more worker (workerCount ${workers.length + 1}, pulumi up)`, () =>
    bench.setStack("the stack's own worker count", { workerCount: workers.length + 1 }),
  );
  const grown = await bench.observe(`${next} joins`, () =>
    pods.until(`an agent on ${next}`, runsOn([...workers, next]), 180),
  );
  bench.claim("the new node has its agent, without anyone asking for it", nodesOf(grown), [...workers, next].sort());
  await bench.disturb("the stack goes back to its own worker count", () => bench.takeBack());
  const shrunk = await bench.observe(`${next} leaves`, async () => {
    await nodes.until(`${next} to be gone`, (items) => !items.some((n) => n.metadata.name === next), 60);
    return pods.until(`the agent of ${next} to be gone`, runsOn(workers), 90);
  });
  bench.claim("the agent left with its node and was not replaced", nodesOf(shrunk), [...workers].sort());
  bench.claim("the most agents that any node had at once", mostPerNode(pods), atMost(1));
}

/** A node without a pod network is NotReady; a network agent must run there anyway, or it would never become Ready. */
async function notReady(bench: Bench, worker: string): Promise<void> {
  const node = () => bench.api.get("Node", worker);
  await bench.disturb(`${worker} loses its CNI configuration`, () =>
    bench.onNode(worker, `the CNI configuration of ${worker}`, {
      change: `mv ${cni.live} ${cni.aside} && mkdir ${cni.live}`,
      undo: `if [ -d ${cni.aside} ]; then rm -rf ${cni.live}; mv ${cni.aside} ${cni.live}; fi`,
    }),
  );
  const sick = await bench.observe("the kubelet reports NotReady", () =>
    bench.until(
      `${worker} to be NotReady and tainted`,
      node,
      (n) => !has(n, "Ready") && (n.spec.taints ?? []).length > 0,
      90,
    ),
  );
  bench.claim("the reason is the network", conditionOf(sick, "Ready")?.message ?? "", contains("network"));
  bench.claim(
    "the node is tainted not-ready",
    (sick.spec.taints ?? []).map((t) => `${t.key}:${t.effect}`),
    such("not-ready:NoSchedule", (taints) => taints.includes("node.kubernetes.io/not-ready:NoSchedule")),
  );
  const agents = await bench.api.list("Pod", { namespace: bench.namespace, labels: "app=agent" });
  const agent = agents.find((p) => p.spec.nodeName === worker);
  bench.claim(
    "the agent that was already there stays, and keeps running",
    [agent?.status.phase, agent?.metadata.deletionTimestamp ?? null],
    ["Running", null],
  );
  const early = await bench.observe(
    "a new DaemonSet on the host's network, and an ordinary pod for the same node",
    async () => {
      const pods = await bench.watch("Pod", { labels: "app=early" });
      await bench.apply("early.yaml");
      await bench.apply("ordinary.yaml", (pod) => {
        pod.spec = { ...(pod.spec as object), nodeSelector: { "kubernetes.io/hostname": worker } };
      });
      return pods.until(
        `an early agent running on ${worker}`,
        (items) => items.some((p) => p.spec.nodeName === worker && isReady(p)),
        60,
      );
    },
  );
  bench.claim(
    "the agent runs on the NotReady node",
    early.find((p) => p.spec.nodeName === worker)?.status.phase,
    "Running",
  );
  bench.claim("the node is still NotReady", has(await node(), "Ready"), false);
  const ordinary = await bench.until(
    "the scheduler's decision on the ordinary pod",
    () => bench.api.get("Pod", "ordinary", bench.namespace),
    (pod) => conditionOf(pod, "PodScheduled") !== undefined,
    20,
  );
  bench.claim(
    "the ordinary pod waits because of the taint",
    conditionOf(ordinary, "PodScheduled")?.message ?? "",
    contains("untolerated taint"),
  );
  bench.claim(
    "an ordinary pod tolerates such a node for only 300 seconds, then it is evicted",
    ordinary.spec.tolerations?.find((t) => t.key === "node.kubernetes.io/not-ready")?.tolerationSeconds,
    300,
  );
  await bench.disturb("the CNI configuration is restored", () => bench.takeBack());
  const well = await bench.observe("the node recovers", () =>
    bench.until(`${worker} to be Ready`, node, (n) => has(n, "Ready"), 90),
  );
  bench.claim("it is Ready again", has(well, "Ready"), true);
}

export default {
  name: "daemonset",
  title: "DaemonSet: one pod per node",
  part: "IV · Workloads",
  hypothesis:
    "A DaemonSet counts nodes, not replicas: exactly one pod on each node that it may use. A node that joins gets one, a node that leaves takes its pod with it, and even a node that is not ready is covered.",
  needs: ["nodes", "stack", "two-workers"],
  limit: 900,
  experiment,
} satisfies Lab;
