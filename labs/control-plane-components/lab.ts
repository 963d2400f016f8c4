/** What each component of the control plane does: stop it, and see what no longer works and what still does. */
import type { Bench } from "../framework/bench";
import { otherThan, such } from "../framework/expectation";
import type { Stored } from "../framework/kinds";
import type { Lab } from "../framework/lab";
import { isReady } from "../framework/states";

type Component = "kube-scheduler" | "kube-controller-manager" | "kube-apiserver" | "etcd";
/** How long to check that nothing happens, in seconds. */
const watched = 4;

/** A server that runs throughout, as its machine sees it. */
interface Steady {
  readonly node: string;
  readonly container: string;
  readonly service: string;
}

/** Stops a unit, with SIGKILL if it does not end at once: an API server waits a minute for its watchers to leave. */
const killed = (unit: string): string =>
  `systemctl stop --no-block ${unit}
while systemctl is-active --quiet ${unit}; do sleep 0.1; done
systemctl kill --signal=SIGKILL ${unit} 2>/dev/null
while [ "$(systemctl is-active ${unit})" = deactivating ]; do sleep 0.1; done
! systemctl is-active --quiet ${unit}`;

/** Stops a component on every control-plane machine; returns how to start it again. */
async function stop(bench: Bench, component: Component): Promise<() => Promise<void>> {
  const { controllers } = bench.nodes;
  for (const name of controllers) {
    const undo = `systemctl reset-failed ${component} 2>/dev/null; systemctl start --no-block ${component}`;
    await bench.onNode(name, `${component} on ${name}`, { change: killed(component), undo });
    bench.timeline.change(`${component} on ${name}`, "stopped");
  }
  return async () => {
    for (const name of [...controllers].reverse()) {
      await bench.takeBack();
      bench.timeline.change(`${component} on ${name}`, "running");
    }
  };
}

/** Whether the container still runs and the Service still responds, checked on the worker and not through the API. */
async function goesOn(bench: Bench, { node, container, service }: Steady): Promise<string> {
  const result = await bench.nodes.run(node, `crictl exec ${container} wget -qO- -T 3 http://${service}/`);
  return result.exitCode === 0 && result.stdout.startsWith("steady-")
    ? "responds"
    : `no response: ${result.stderr.trim()}`;
}

async function experiment(bench: Bench): Promise<void> {
  const { controllers } = bench.nodes;
  for (const name of controllers)
    for (const component of ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"])
      bench.timeline.change(`${component} on ${name}`, "running");
  const steady = await bench.baseline("a Service with two servers behind it", () => prepare(bench));
  bench.claim("the Service responds", await goesOn(bench, steady), "responds");
  await withoutScheduler(bench);
  await withoutControllerManager(bench);
  await withoutApiServer(bench, steady);
  await withoutEtcd(bench, steady);
}

async function prepare(bench: Bench): Promise<Steady> {
  const { api, namespace } = bench;
  await bench.apply("steady.yaml");
  const pods = await bench.until(
    "two Ready servers",
    () => api.list("Pod", { namespace, labels: "app=steady" }),
    (items) => items.length === 2 && items.every(isReady),
    60,
  );
  const node = pods[0]!.spec.nodeName!;
  const container = (
    await bench.nodes.output(node, `crictl ps -q --label io.kubernetes.pod.name=${pods[0]!.metadata.name}`)
  ).trim();
  const service = (await api.get("Service", "steady", namespace)).spec.clusterIP!;
  await bench.until(
    "the Service to respond",
    () => goesOn(bench, { node, container, service }),
    (result) => result === "responds",
    30,
  );
  return { node, container, service };
}

const holder = async (bench: Bench, lease: string): Promise<Stored<"Lease">["spec"]> =>
  (await bench.api.get("Lease", lease, "kube-system")).spec;

/** Objects are stored, but no pod gets a node. */
async function withoutScheduler(bench: Bench): Promise<void> {
  const { api, namespace } = bench;
  const late = () => api.get("Pod", "late", namespace);
  const before = await holder(bench, "kube-scheduler");
  const start = await bench.disturb("the scheduler stops", () => stop(bench, "kube-scheduler"));
  const waiting = await bench.observe("a new pod", async () => {
    await bench.apply("late.yaml");
    await bench.pause(watched);
    return late();
  });
  bench.claim("it is stored", waiting.status.phase, "Pending");
  bench.claim(
    "but nothing places it or says why",
    [waiting.spec.nodeName ?? null, waiting.status.conditions ?? []],
    [null, []],
  );
  await bench.disturb("the scheduler starts", start);
  const placed = await bench.observe("the pod is placed", () => bench.until("the pod to be Ready", late, isReady, 60));
  bench.claim("it runs, without a second request", placed.status.phase, "Running");
  const after = await holder(bench, "kube-scheduler");
  bench.claim("a different process leads now", after.holderIdentity, otherThan(before.holderIdentity));
  bench.keep("leader of the scheduler", {
    before: before.holderIdentity,
    after: after.holderIdentity,
    transitions: after.leaseTransitions,
  });
}

/** Objects are stored, but nothing acts on them. */
async function withoutControllerManager(bench: Bench): Promise<void> {
  const { api, namespace } = bench;
  const steadyPods = () => api.list("Pod", { namespace, labels: "app=steady" });
  const start = await bench.disturb("the controller manager stops", () => stop(bench, "kube-controller-manager"));
  const stale = await bench.observe("a server is deleted, and the Deployment is scaled to 3", async () => {
    const pods = await steadyPods();
    await api.delete("Pod", pods.at(-1)!.metadata.name, namespace);
    const scaled = await api.patch("Deployment", "steady", namespace, { spec: { replicas: 3 } });
    await bench.pause(watched);
    return {
      generation: scaled.metadata.generation,
      deployment: await api.get("Deployment", "steady", namespace),
      pods: await steadyPods(),
    };
  });
  bench.claim("the deleted server is not replaced", stale.pods.filter(isReady).length, 1);
  bench.claim(
    "the new replica count is stored, but no controller has seen it",
    [stale.deployment.spec.replicas, stale.deployment.status.observedGeneration === stale.generation],
    [3, false],
  );
  await bench.disturb("the controller manager starts", start);
  const caught = await bench.observe("it catches up", () =>
    bench.until("three Ready servers", steadyPods, (items) => items.length === 3 && items.every(isReady), 90),
  );
  bench.claim("it makes up for what it missed, because it compares states, not events", caught.length, 3);
}

/** Nothing can be read or written; what runs keeps running. */
async function withoutApiServer(bench: Bench, steady: Steady): Promise<void> {
  const { api } = bench;
  const start = await bench.disturb("the API server stops", () => stop(bench, "kube-apiserver"));
  const outcome = await bench.observe("a request to it", () =>
    api.request("GET", "/readyz", { timeoutSeconds: 5 }).then(
      ({ status }) => `status ${status}`,
      (error: unknown) => (error as Error).message,
    ),
  );
  bench.claim(
    "it does not respond",
    outcome,
    such("a connection error", (text) => !text.startsWith("status 2")),
  );
  bench.claim("pods keep running, and the Service responds", await goesOn(bench, steady), "responds");
  const etcd = await bench.etcd.get(`/registry/namespaces/${bench.namespace}`);
  bench.claim("the state is safe: etcd still has it", etcd !== undefined, true);
  await bench.disturb("the API server starts", start);
  await ready(bench);
  bench.claim("it serves what was there before", (await api.get("Namespace", bench.namespace)).status.phase, "Active");
}

/** The API server stores nothing itself. */
async function withoutEtcd(bench: Bench, steady: Steady): Promise<void> {
  const { api, namespace } = bench;
  const before = await api.get("Deployment", "steady", namespace);
  const start = await bench.disturb("etcd stops", () => stop(bench, "etcd"));
  const health = await bench.observe("the API server's own view", () =>
    bench.until(
      "readyz to fail",
      () => api.request("GET", "/readyz?verbose", { timeoutSeconds: 10 }),
      (a) => a.status !== 200,
      30,
    ),
  );
  bench.claim(
    "it reports that etcd has failed",
    health.text,
    such("etcd failed", (text) => /\[-\]etcd(-readiness)? failed/.test(text)),
  );
  const written = await api
    .request("PATCH", `/apis/apps/v1/namespaces/${namespace}/deployments/steady`, {
      body: { metadata: { annotations: { "example.com/lost": "yes" } } },
      contentType: "application/merge-patch+json",
      timeoutSeconds: 6,
    })
    .then(
      ({ status }) => `status ${status}`,
      () => "no response in 6 s",
    );
  bench.claim(
    "nothing can be written",
    written,
    such("not a success", (text) => !text.startsWith("status 2")),
  );
  bench.claim("pods keep running, and the Service responds", await goesOn(bench, steady), "responds");
  await bench.disturb("etcd starts", start);
  await ready(bench);
  const after = await api.get("Deployment", "steady", namespace);
  bench.claim("nothing was lost", after.metadata.uid, before.metadata.uid);
}

/** Waits until every part of the API server is ready, and its controllers have caught up. */
async function ready(bench: Bench): Promise<void> {
  await bench.observe("the API is back", () =>
    bench.until(
      "readyz to be ok",
      () => bench.api.request("GET", "/readyz", { timeoutSeconds: 5 }),
      (a) => a.status === 200,
      90,
    ),
  );
}

export default {
  name: "control-plane-components",
  title: "The control plane: what stops when each component stops",
  part: "I–III · The cluster by hand",
  hypothesis:
    "Each component does one job, and none gives orders to another: they all read and write the API. Without the scheduler, pods wait; without the controller manager, changes wait; without the API server or etcd, requests fail. Whatever is already running keeps running throughout.",
  needs: ["nodes"],
  limit: 420,
  experiment,
} satisfies Lab;
