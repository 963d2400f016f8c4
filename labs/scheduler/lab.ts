/** Filter, score, bind: seen from outside and in the scheduler's log, with gates, a second scheduler and preemption. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { checked } from "../framework/api";
import type { Bench } from "../framework/bench";
import { contains, oneOf, such } from "../framework/expectation";
import { type Manifest, pathOf, type Stored } from "../framework/kinds";
import type { Lab } from "../framework/lab";
import type { Live } from "../framework/live";
import { labsDir } from "../framework/manifests";
import { millicores, requestedOn } from "../framework/quantity";
import { conditionOf, isReady, isWorker } from "../framework/states";
import { scoresOf, sumsOf, winners } from "./log";

type Pod = Stored<"Pod">;
type PodSpec = Readonly<Record<string, unknown>>;

/** The second scheduler runs alongside the first on the control-plane machine, as a transient unit. */
const unit = "lab-scheduler";
const log = `/run/${unit}.log`;
const config = `/run/${unit}.yaml`;

/** The small pod under this name, with additions to its spec and its CPU request. */
function small(bench: Bench, name: string, spec: PodSpec = {}, cpu?: string): Manifest {
  const [pod] = bench.manifests("small.yaml");
  const base = pod!["spec"] as { containers: object[] };
  const containers = cpu ? [{ ...base.containers[0], resources: { requests: { cpu } } }] : base.containers;
  return { ...pod!, metadata: { ...pod!.metadata, name }, spec: { ...base, containers, ...spec } };
}
const on = (node: string): PodSpec => ({ nodeSelector: { "kubernetes.io/hostname": node } });

async function experiment(bench: Bench): Promise<void> {
  const pods = await bench.watch("Pod");
  const workers = (await bench.api.list("Node"))
    .filter(isWorker)
    .map((n) => n.metadata.name)
    .sort();
  await filtering(bench, pods, workers.length);
  await scoring(bench, pods, workers);
  await binding(bench, pods, workers[0]!);
  await gates(bench, pods);
  await preemption(bench, pods, workers[0]!);
}

const bound = (pods: Live<"Pod">, name: string): Promise<readonly Pod[]> =>
  pods.until(
    `pod ${name} to be bound`,
    (items) => items.some((p) => p.metadata.name === name && p.spec.nodeName !== undefined),
    30,
  );

/** No node passes the filters: the pod stays Pending, with the reasons counted. */
async function filtering(bench: Bench, pods: Live<"Pod">, workers: number): Promise<void> {
  await bench.disturb("a pod that asks for 64 CPUs", () => bench.apply("huge.yaml"));
  await bench.observe("no node passes the filters", () =>
    pods.until(
      "the scheduler to give the reason",
      (items) => conditionOf(items[0] ?? {}, "PodScheduled")?.reason === "Unschedulable",
      30,
    ),
  );
  const huge = pods.named("huge")!;
  const message = conditionOf(huge, "PodScheduled")?.message ?? "";
  bench.keep("why pod huge is not scheduled", message);
  bench.claim("it is Pending, without a node", [huge.status.phase, huge.spec.nodeName ?? null], ["Pending", null]);
  bench.claim("the workers lack the CPU", message, contains(`${workers} Insufficient cpu`));
  bench.claim("the control plane is ruled out by its taint", message, contains("had untolerated taint"));
  const event = await bench.until(
    "the event about it",
    async () => (await bench.api.list("Event", { namespace: bench.namespace, fields: "involvedObject.name=huge" }))[0],
    (found) => found !== undefined,
    10,
  );
  bench.claim("an event says the same", [event?.reason, event?.message], ["FailedScheduling", message]);
  await bench.api.delete("Pod", "huge", bench.namespace);
}

/** Among the nodes that pass, the highest score wins, as seen in the log of a second scheduler that logs everything. */
async function scoring(bench: Bench, pods: Live<"Pod">, workers: readonly string[]): Promise<void> {
  const controller = bench.nodes.controllers[0]!;
  const [loaded, ...free] = workers as readonly [string, ...string[]];
  await bench.disturb("a second scheduler starts, with two profiles and a verbose log", () =>
    bench.onNode(controller, "the second scheduler", {
      change: `cat > ${config} <<'END_OF_CONFIG'
${readFileSync(join(labsDir, "scheduler", "manifests", "second-scheduler.yaml"), "utf8")}END_OF_CONFIG
rm -f ${log}
systemd-run --unit=${unit} --collect --property=StandardOutput=append:${log} --property=StandardError=append:${log} \\
  "$(command -v kube-scheduler)" --config=${config} --secure-port=0 --v=10`,
      undo: `systemctl stop ${unit}.service 2>/dev/null || true; rm -f ${log} ${config}`,
    }),
  );
  await bench.baseline(`${loaded} carries a load`, async () => {
    await bench.create(small(bench, "ballast", on(loaded), "700m"));
    await bound(pods, "ballast");
  });
  const place = async (name: string, schedulerName: string) => {
    await bench.create(small(bench, name, { schedulerName }));
    await bound(pods, name);
    const text = await bench.until(
      "the scores in the log",
      () => bench.nodes.output(controller, `grep -F 'pod="${bench.namespace}/${name}"' ${log} || true`),
      (lines) => Object.keys(scoresOf(lines, `${bench.namespace}/${name}`).final).length >= workers.length,
      20,
    );
    return { node: pods.named(name)!.spec.nodeName!, text, scores: scoresOf(text, `${bench.namespace}/${name}`) };
  };
  const spread = await bench.observe("profile spread places a pod", () => place("spread", "spread"));
  bench.keep("scores of profile spread", spread.scores);
  bench.claim(
    "the pod is on a node with the highest final score",
    winners(spread.scores.final),
    such(`includes ${spread.node}`, (best) => best.includes(spread.node)),
  );
  bench.claim(
    "the final score of each node is the sum of its plugins' scores",
    spread.scores.final,
    sumsOf(spread.scores),
  );
  bench.claim(
    "NodeResourcesFit scores the emptier node higher",
    spread.scores.byPlugin["NodeResourcesFit"] ?? {},
    such(`${free.join(", ")} above ${loaded}`, (s) => free.every((node) => (s[node] ?? 0) > (s[loaded] ?? 0))),
  );
  bench.claim("so the pod goes to the less loaded node", spread.node, oneOf(...free));
  bench.claim(
    "having chosen a node, the scheduler binds the pod to it, as its log shows",
    /"Attempting to bind pod to node".* node="([^"]+)"/.exec(spread.text)?.[1],
    spread.node,
  );
  const again = await bench.observe("and then another one", () => place("spread-again", "spread"));
  bench.claim(
    "nodes do not take turns: the next pod does not go to the loaded node either",
    again.node,
    oneOf(...free),
  );
  const pack = await bench.observe("profile pack places a pod", () => place("pack", "pack"));
  bench.keep("scores of profile pack", pack.scores);
  bench.claim(
    "MostAllocated scores the fuller node higher",
    pack.scores.byPlugin["NodeResourcesFit"] ?? {},
    such(`${loaded} above ${free.join(", ")}`, (s) => free.every((node) => (s[loaded] ?? 0) > (s[node] ?? 0))),
  );
  bench.claim("so the pod goes to the loaded node", pack.node, loaded);
  await bench.disturb("the second scheduler stops", () => bench.takeBack());
  await bench.create(small(bench, "unheard", { schedulerName: "pack" }));
  for (const name of ["ballast", "spread", "spread-again", "pack"])
    await bench.api.delete("Pod", name, bench.namespace);
}

/** A Binding is one small write, which anyone with permission can make. */
async function binding(bench: Bench, pods: Live<"Pod">, worker: string): Promise<void> {
  await bench.observe("a pod whose scheduler is not running", () => bench.pause(2));
  const unheard = pods.named("unheard")!;
  bench.claim(
    "no scheduler has looked at it",
    [unheard.status.phase, unheard.status.conditions ?? []],
    ["Pending", []],
  );
  await bench.disturb("we bind it ourselves", async () => {
    const target = { apiVersion: "v1", kind: "Node", name: worker };
    const body = {
      apiVersion: "v1",
      kind: "Binding",
      metadata: { name: "unheard", namespace: bench.namespace },
      target,
    };
    checked(await bench.api.request("POST", pathOf("Pod", bench.namespace, "unheard", "binding"), { body }));
  });
  const running = await bench.observe("the kubelet takes it from there", () =>
    pods.until("the pod to be Ready", (items) => items.some((p) => p.metadata.name === "unheard" && isReady(p)), 30),
  );
  const pod = running.find((p) => p.metadata.name === "unheard")!;
  bench.claim("it runs on the node that the Binding names", pod.spec.nodeName, worker);
  bench.claim("PodScheduled is True", conditionOf(pod, "PodScheduled")?.status, "True");
  await bench.api.delete("Pod", "unheard", bench.namespace);
}

/** A gate keeps the scheduler from looking at a pod until whoever set the gate removes it. */
async function gates(bench: Bench, pods: Live<"Pod">): Promise<void> {
  await bench.disturb("a pod with a scheduling gate", () =>
    bench.create(small(bench, "gated", { schedulingGates: [{ name: "lab.kubernetes-from-scratch/approved" }] })),
  );
  await bench.observe("it waits", () =>
    pods.until(
      "the gate to be reported",
      (items) => items.some((p) => conditionOf(p, "PodScheduled")?.reason === "SchedulingGated"),
      15,
    ),
  );
  bench.claim(
    "gated, without a node",
    [conditionOf(pods.named("gated")!, "PodScheduled")?.reason, pods.named("gated")!.spec.nodeName ?? null],
    ["SchedulingGated", null],
  );
  const events = await bench.api.list("Event", { namespace: bench.namespace, fields: "involvedObject.name=gated" });
  bench.claim("the scheduler has not tried", events.filter((e) => e.reason === "FailedScheduling").length, 0);
  await bench.disturb("the gate is removed", () =>
    bench.api.patch("Pod", "gated", bench.namespace, { spec: { schedulingGates: [] } }),
  );
  await bench.observe("it is placed", () => bound(pods, "gated"));
  const scheduled = await bench.until(
    "the scheduler's event",
    async () =>
      (
        await bench.api.list("Event", {
          namespace: bench.namespace,
          fields: "involvedObject.name=gated,reason=Scheduled",
        })
      )[0],
    (event) => event !== undefined,
    10,
  );
  bench.claim(
    "it is bound, and the event names the node",
    scheduled?.message ?? "",
    contains(`to ${pods.named("gated")!.spec.nodeName}`),
  );
  await bench.api.delete("Pod", "gated", bench.namespace);
}

/** If nothing is free, a pod of high priority takes the place of pods of low priority. */
async function preemption(bench: Bench, pods: Live<"Pod">, worker: string): Promise<void> {
  await bench.baseline(`${worker} is full of pods of low priority`, async () => {
    await pods.until("the earlier pods to be gone", (items) => items.length === 0, 30);
    await bench.apply("priorities.yaml");
    const node = await bench.api.get("Node", worker);
    const free = millicores(node.status.allocatable?.["cpu"]) - requestedOn(worker, await bench.api.list("Pod")).cpu;
    const half = `${Math.floor(free / 2) - 10}m`;
    for (const name of ["low-1", "low-2"])
      await bench.create(small(bench, name, { ...on(worker), priorityClassName: "lab-low" }, half));
    await pods.until("both to be Ready", (items) => items.length === 2 && items.every(isReady), 30);
  });
  bench.claim(
    "the priority comes from the class",
    pods.items.map((p) => p.spec.priority),
    [10, 10],
  );
  await bench.disturb("a pod of high priority needs room there", () =>
    bench.create(small(bench, "high", { ...on(worker), priorityClassName: "lab-high" }, "200m")),
  );
  await bench.observe("room is made", () =>
    pods.until("pod high to be Ready", (items) => items.some((p) => p.metadata.name === "high" && isReady(p)), 45),
  );
  const victims = pods.history
    .filter((m) => m.object.metadata.name.startsWith("low-") && conditionOf(m.object, "DisruptionTarget"))
    .map((m) => m.object);
  const victim = victims[0];
  const nominated = pods.history.find(
    (m) => m.object.metadata.name === "high" && m.object.status.nominatedNodeName,
  )?.object;
  bench.claim("the node was set aside for it first", nominated?.status.nominatedNodeName, worker);
  bench.claim(
    "the status of one low-priority pod gives the reason for its eviction",
    conditionOf(victim ?? {}, "DisruptionTarget")?.reason,
    "PreemptionByScheduler",
  );
  bench.claim(
    "no more than needed: the other low-priority pod stays",
    pods.items.filter((p) => p.metadata.name.startsWith("low-") && isReady(p)).length,
    1,
  );
  bench.claim("the high-priority pod runs on that node", pods.named("high")?.spec.nodeName, worker);
}

export default {
  name: "scheduler",
  title: "The scheduler and the scheduling framework",
  part: "VII · Scheduling",
  hypothesis:
    "For each pod the scheduler rules out the nodes that do not fit, scores the others, and writes the best one into a Binding. Nodes do not take turns: the scores, which its log shows, decide.",
  needs: ["nodes", "two-workers"],
  experiment,
} satisfies Lab;
