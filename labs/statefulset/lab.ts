/** StatefulSet: names that stay, ordered start and stop, and addresses by name. */
import type { Bench } from "../framework/bench";
import { otherThan } from "../framework/expectation";
import type { Stored } from "../framework/kinds";
import type { Lab } from "../framework/lab";
import type { Live } from "../framework/live";
import { labPrefix } from "../framework/manifests";
import { addressesIn } from "../framework/lookup";
import { isReady } from "../framework/states";

type Pod = Stored<"Pod">;
const names = ["db-0", "db-1", "db-2"];
const taint = { key: `${labPrefix}statefulset`, effect: "NoSchedule" };

const allReady = (items: readonly Pod[]): boolean => items.length === 3 && items.every(isReady);

/** The order in which pods appeared (or disappeared), and which pods were Ready at that moment. */
function order(pods: Live<"Pod">, type: "ADDED" | "DELETED", since: number): { name: string; readyThen: string[] }[] {
  return pods.history
    .filter((moment) => moment.at >= since && moment.type === type)
    .map((moment) => ({
      name: moment.object.metadata.name,
      readyThen: moment.items.filter(isReady).map((p) => p.metadata.name),
    }));
}

async function experiment(bench: Bench): Promise<void> {
  const pods = await bench.watch("Pod", { labels: "app=db" });
  await bench.watch("StatefulSet");
  const addressOf = (name: string): string => pods.named(name)?.status.podIP ?? "";
  const lookup = async (from: string, name: string): Promise<string[]> => {
    const { stdout } = await bench.api.exec(from, bench.namespace, [
      "nslookup",
      `${name}.${bench.namespace}.svc.cluster.local`,
    ]);
    return addressesIn(stdout);
  };
  const resolve = (from: string, name: string): Promise<string[]> => lookup(from, `${name}.db`);

  await bench.baseline("three pods are Ready", async () => {
    await bench.apply("db.yaml");
    await pods.until("db-0, db-1 and db-2 to be Ready", allReady, 90);
  });
  bench.claim(
    "the names are numbered, not random",
    pods.items.map((p) => p.metadata.name),
    names,
  );
  bench.claim("each pod was created only when those before it were Ready", order(pods, "ADDED", 0), [
    { name: "db-0", readyThen: [] },
    { name: "db-1", readyThen: ["db-0"] },
    { name: "db-2", readyThen: ["db-0", "db-1"] },
  ]);
  bench.claim(
    "the label pod-index carries the number",
    pods.items.map((p) => p.metadata.labels?.["apps.kubernetes.io/pod-index"]),
    ["0", "1", "2"],
  );

  const inside = await bench.observe("each pod's own view and its name in DNS", async () => ({
    hostnames: await Promise.all(names.map(async (name) => (await bench.exec(name, "hostname")).trim())),
    addresses: await bench.until(
      "every pod's name to resolve",
      () => Promise.all(names.map((name) => resolve("db-0", name))),
      (found) => found.every((list) => list.length > 0),
      45,
    ),
  }));
  bench.claim("the hostname is the pod's name", inside.hostnames, names);
  bench.claim(
    "<pod>.db resolves to that pod alone",
    inside.addresses,
    names.map((name) => [addressOf(name)]),
  );
  bench.claim(
    "the Service's own name resolves to all of them",
    await lookup("db-0", "db"),
    names.map(addressOf).sort(),
  );

  const old = pods.named("db-1")!;
  const setTaint = async (on: boolean): Promise<void> => {
    const node = await bench.api.get("Node", old.spec.nodeName!);
    const others = (node.spec.taints ?? []).filter((t) => t.key !== taint.key);
    await bench.api.patch("Node", node.metadata.name, undefined, {
      spec: { taints: on ? [...others, taint] : others },
    });
  };
  await bench.disturb("the node of db-1 is tainted and the pod is deleted", async () => {
    await setTaint(true);
    await bench.api.delete("Pod", "db-1", bench.namespace);
  });
  await bench.observe("a new db-1 starts elsewhere", () =>
    pods.until(
      "a new db-1 to be Ready",
      (items) => allReady(items) && items.every((p) => p.metadata.uid !== old.metadata.uid),
      60,
    ),
  );
  const moved = pods.named("db-1")!;
  bench.claim("it is a different pod, with a new UID", moved.metadata.uid, otherThan(old.metadata.uid));
  bench.claim("on another node", moved.spec.nodeName, otherThan(old.spec.nodeName));
  bench.claim("with a new address", moved.status.podIP, otherThan(old.status.podIP));
  bench.claim(
    "under the same name, and the same hostname inside",
    (await bench.exec("db-1", "hostname")).trim(),
    "db-1",
  );
  const asked = bench.timeline.now();
  const now = await bench.observe("DNS follows", () =>
    bench.until(
      "db-1.db to resolve to the new address",
      () => resolve("db-0", "db-1"),
      (found) => found.includes(addressOf("db-1")),
      60,
    ),
  );
  bench.claim("db-1.db resolves to the new address", now, [addressOf("db-1")]);
  bench.keep("seconds until DNS followed", Math.round((bench.timeline.now() - asked) * 10) / 10);
  await bench.disturb("the taint is removed", () => setTaint(false));

  await bench.disturb("an update with partition 2", async () => {
    const patch = {
      spec: {
        updateStrategy: { type: "RollingUpdate", rollingUpdate: { partition: 2 } },
        template: { metadata: { annotations: { [`${labPrefix}version`]: "2" } } },
      },
    };
    const before = pods.named("db-2")!.metadata.uid;
    await bench.api.patch("StatefulSet", "db", bench.namespace, patch);
    await pods.until("db-2 to be replaced", (items) => allReady(items) && items[2]!.metadata.uid !== before, 60);
  });
  bench.claim(
    "only pods from the partition upwards have the new template",
    pods.items.map((p) => p.metadata.annotations?.[`${labPrefix}version`] ?? "old"),
    ["old", "old", "2"],
  );

  const started = bench.timeline.now();
  await bench.disturb("scale to 0", () =>
    bench.api.patch("StatefulSet", "db", bench.namespace, { spec: { replicas: 0 } }),
  );
  await bench.observe("the pods stop", () => pods.until("all pods to be gone", (items) => items.length === 0, 60));
  bench.claim("from the last to the first, one at a time", order(pods, "DELETED", started), [
    { name: "db-2", readyThen: ["db-0", "db-1"] },
    { name: "db-1", readyThen: ["db-0"] },
    { name: "db-0", readyThen: [] },
  ]);
  await storage(bench);
}

/** A volume follows the name, not the pod: the claim outlives each pod, and even scaling to 0. */
async function storage(bench: Bench): Promise<void> {
  const { api, namespace, cluster } = bench;
  if (!cluster.nodes)
    return bench.keep("storage", "skipped, because it needs a folder on a machine, and no machine can be reached");
  const node = cluster.nodes.workers[0]!;
  const pods = await bench.watch("Pod", { labels: "app=keeper" });
  const claims = await bench.watch("PersistentVolumeClaim");
  const keeper = (items: readonly Pod[]): boolean => items.length === 1 && items.every(isReady);
  const read = () => bench.exec("keeper-0", "cat", "/data/note");

  await bench.disturb(`a volume on ${node}, and a StatefulSet with a claim template`, async () => {
    const path = "/var/lib/lab-statefulset";
    await bench.onNode(node, `the folder ${path} on ${node}`, { change: `mkdir -p ${path}`, undo: `rm -rf ${path}` });
    await bench.apply("volumes.yaml", (object) => {
      if (object.kind !== "PersistentVolume") return;
      const terms = [{ matchExpressions: [{ key: "kubernetes.io/hostname", operator: "In", values: [node] }] }];
      object["spec"] = { ...(object["spec"] as object), nodeAffinity: { required: { nodeSelectorTerms: terms } } };
    });
    await pods.until("keeper-0 to be Ready", keeper, 60);
  });
  const [claim] = claims.items;
  bench.claim(
    "the claim is named after its template and pod, and bound to the volume",
    [claim?.metadata.name, claim?.status.phase, claim?.spec.volumeName],
    ["data-keeper-0", "Bound", "lab-statefulset"],
  );
  bench.claim("the pod was placed where its volume is", pods.named("keeper-0")!.spec.nodeName, node);

  const old = pods.named("keeper-0")!;
  await bench.disturb("keeper-0 writes a note and is deleted", async () => {
    await bench.exec("keeper-0", "sh", "-c", `echo 'written by ${old.metadata.uid}' > /data/note`);
    await api.delete("Pod", "keeper-0", namespace);
  });
  await bench.observe("the next keeper-0", () =>
    pods.until("it to be Ready", (items) => keeper(items) && items[0]!.metadata.uid !== old.metadata.uid, 60),
  );
  bench.claim("it is a different pod", pods.named("keeper-0")!.metadata.uid, otherThan(old.metadata.uid));
  bench.claim("and it reads what the previous one wrote", (await read()).trim(), `written by ${old.metadata.uid}`);

  const scale = (replicas: number) => api.patch("StatefulSet", "keeper", namespace, { spec: { replicas } });
  await bench.disturb("scale to 0", async () => {
    await scale(0);
    await pods.until("keeper-0 to be gone", (items) => items.length === 0, 30);
  });
  bench.claim(
    "the claim is still there, and still the same",
    [claims.named("data-keeper-0")?.metadata.uid, claims.named("data-keeper-0")?.status.phase],
    [claim?.metadata.uid, "Bound"],
  );
  await bench.disturb("scale to 1", async () => {
    await scale(1);
    await pods.until("keeper-0 to be Ready", keeper, 60);
  });
  bench.claim("the note is still there", (await read()).trim(), `written by ${old.metadata.uid}`);
}

export default {
  name: "statefulset",
  title: "StatefulSet: stable identity and order",
  part: "IV · Workloads",
  hypothesis:
    "The pods of a StatefulSet are not interchangeable: each has a number, keeps its name and DNS entry when it moves to another node with a new address, and they start and stop strictly in order.",
  needs: ["two-workers"],
  experiment,
} satisfies Lab;
