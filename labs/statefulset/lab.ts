/** StatefulSet: names that stay, one after another up, one after another down, and an address by name. */
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

/** Order in which pods of these names first appeared (or disappeared), and who was Ready at that moment. */
function order(pods: Live<"Pod">, type: "ADDED" | "DELETED", since: number): { name: string; readyThen: string[] }[] {
  return pods.history
    .filter((moment) => moment.at >= since && moment.type === type)
    .map((moment) => ({
      name: moment.object.metadata.name,
      readyThen: moment.items.filter(isReady).map((p) => p.metadata.name),
    }));
}

async function experiment(bench: Bench): Promise<void> {
  const pods = await bench.watch("Pod");
  await bench.watch("StatefulSet");
  const addressOf = (name: string): string => pods.named(name)?.status.podIP ?? "";
  const resolve = async (from: string, name: string): Promise<string[]> => {
    const { stdout } = await bench.api.exec(from, bench.namespace, [
      "nslookup",
      `${name}.db.${bench.namespace}.svc.cluster.local`,
    ]);
    return addressesIn(stdout);
  };

  await bench.baseline("three pods are Ready", async () => {
    await bench.apply("db.yaml");
    await pods.until("db-0, db-1 and db-2 to be Ready", allReady, 90);
  });
  bench.claim(
    "the names are counted, not drawn",
    pods.items.map((p) => p.metadata.name),
    names,
  );
  bench.claim("each pod was made only when those before it were Ready", order(pods, "ADDED", 0), [
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

  const old = pods.named("db-1")!;
  await bench.disturb("db-1 must leave its node: the node is tainted and the pod deleted", async () => {
    const node = await bench.api.get("Node", old.spec.nodeName!);
    await bench.api.patch("Node", node.metadata.name, undefined, {
      spec: { taints: [...(node.spec.taints ?? []), taint] },
    });
    await bench.api.delete("Pod", "db-1", bench.namespace);
  });
  await bench.observe("a db-1 comes back elsewhere", () =>
    pods.until(
      "a new db-1 to be Ready",
      (items) => allReady(items) && items.every((p) => p.metadata.uid !== old.metadata.uid),
      60,
    ),
  );
  const moved = pods.named("db-1")!;
  bench.claim("another pod: another UID", moved.metadata.uid, otherThan(old.metadata.uid));
  bench.claim("on another node", moved.spec.nodeName, otherThan(old.spec.nodeName));
  bench.claim("with another address", moved.status.podIP, otherThan(old.status.podIP));
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
  bench.claim("db-1.db is the new address", now, [addressOf("db-1")]);
  bench.keep("seconds until DNS followed", Math.round((bench.timeline.now() - asked) * 10) / 10);

  await bench.disturb("an update with partition 2 touches db-2 alone", async () => {
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
    "only pods from the partition on have the new template",
    pods.items.map((p) => p.metadata.annotations?.[`${labPrefix}version`] ?? "old"),
    ["old", "old", "2"],
  );

  const started = bench.timeline.now();
  await bench.disturb("scale to 0", () =>
    bench.api.patch("StatefulSet", "db", bench.namespace, { spec: { replicas: 0 } }),
  );
  await bench.observe("the pods go", () => pods.until("no pod to be left", (items) => items.length === 0, 60));
  bench.claim("from the last to the first, one at a time", order(pods, "DELETED", started), [
    { name: "db-2", readyThen: ["db-0", "db-1"] },
    { name: "db-1", readyThen: ["db-0"] },
    { name: "db-0", readyThen: [] },
  ]);
}

export default {
  name: "statefulset",
  title: "StatefulSet: stable identity and order",
  part: "IV · Workloads",
  hypothesis:
    "Pods of a StatefulSet are not interchangeable: each has a number, keeps name and DNS entry when it moves to another node under another address, and they come up and go down strictly in order.",
  needs: ["two-workers"],
  experiment,
} satisfies Lab;
