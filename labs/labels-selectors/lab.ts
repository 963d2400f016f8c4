/** What selectors can match and what they cannot, and what a label change does to a pod that a controller counts. */
import { refusal } from "../framework/api";
import type { Bench } from "../framework/bench";
import { contains, otherThan } from "../framework/expectation";
import type { Stored } from "../framework/kinds";
import type { Lab } from "../framework/lab";
import { isReady } from "../framework/states";

type Pod = Stored<"Pod">;
const basket = ["api-prod", "api-qa", "tool", "web-dev", "web-prod"];

/** Selectors, and the pods of the basket that each finds. */
const selectors: readonly (readonly [selector: string, names: readonly string[]])[] = [
  ["env=prod", ["api-prod", "web-prod"]],
  ["tier=web,env=prod", ["web-prod"]],
  ["env!=prod", ["api-qa", "tool", "web-dev"]], // a pod without the label matches too
  ["env in (prod,qa)", ["api-prod", "api-qa", "web-prod"]],
  ["env notin (prod,qa)", ["tool", "web-dev"]],
  ["env", ["api-prod", "api-qa", "web-dev", "web-prod"]],
  ["!env", ["tool"]],
  ["app=shop,env notin (dev),tier", ["api-prod", "api-qa", "web-prod"]],
];

const ownerOf = (pod: Pod | undefined): string => pod?.metadata.ownerReferences?.[0]?.name ?? "none";

async function experiment(bench: Bench): Promise<void> {
  const { api, namespace } = bench;
  const names = async (where: { labels?: string; fields?: string }): Promise<string[]> =>
    (await api.list("Pod", { namespace, ...where })).map((pod) => pod.metadata.name).sort();
  const pods = await bench.watch("Pod");

  await bench.baseline("a basket of five labelled pods", async () => {
    await bench.apply("basket.yaml");
    await pods.until("five pods to be Ready", (items) => items.length === 5 && items.every(isReady), 60);
  });

  for (const [selector, predicted] of selectors)
    bench.claim(`-l '${selector}'`, await names({ labels: selector }), [...predicted]);

  await bench.observe("annotations hold what labels cannot", async () => {
    const annotated = await api.get("Pod", "web-prod", namespace);
    bench.claim(
      "an annotation exists but cannot be selected by",
      [annotated.metadata.annotations?.["example.com/owner"], await names({ labels: "example.com/owner=ada" })],
      ["ada", []],
    );
    const spaced = await refusal(api.list("Pod", { namespace, labels: "note=any text" }));
    bench.claim("a selector with a value that no label can hold is refused", spaced?.status, 400);
    const long = { metadata: { labels: { note: "x".repeat(64) }, annotations: { note: "x".repeat(64) } } };
    const refused = await refusal(api.patch("Pod", "tool", namespace, long, { dryRun: true }));
    bench.claim(
      "a label's value has at most 63 characters",
      [refused?.status, refused?.message.includes("must be no more than 63")],
      [422, true],
    );
    const note = `any text: 日本, {}, spaces, and ${"more ".repeat(20)}`;
    await api.patch("Pod", "tool", namespace, { metadata: { annotations: { note } } });
    bench.claim(
      "an annotation takes any text, even if it is long",
      (await api.get("Pod", "tool", namespace)).metadata.annotations?.["note"],
      note,
    );
  });

  await bench.observe("field selectors match what the system knows", async () => {
    const node = pods.items[0]!.spec.nodeName!;
    const onNode = pods.items.filter((p) => p.spec.nodeName === node).map((p) => p.metadata.name);
    bench.claim("status.phase=Running", await names({ fields: "status.phase=Running" }), basket);
    bench.claim(
      "spec.nodeName=… finds what runs there",
      await names({ fields: `spec.nodeName=${node}` }),
      onNode.sort(),
    );
    bench.claim("fields and labels together", await names({ fields: "metadata.name!=web-dev", labels: "tier=web" }), [
      "web-prod",
    ]);
    const unsupported = await refusal(api.list("Pod", { namespace, fields: "spec.priority=0" }));
    bench.claim(
      "other fields are refused",
      [unsupported?.status, unsupported?.message.includes("field label not supported")],
      [400, true],
    );
    const setBased = await refusal(api.list("Pod", { namespace, fields: "status.phase in (Running)" }));
    bench.claim("field selectors do not support sets", setBased?.status, 400);
    const status = await refusal(api.list("ConfigMap", { namespace, fields: "status.phase=Running" }));
    bench.claim(
      "each kind has its own fields, and a ConfigMap has no phase",
      [status?.status, status?.message.includes('"status.phase" is not a known field selector')],
      [400, true],
    );
  });

  await bench.observe("a namespace is a scope for names", async () => {
    const other = await bench.makeNamespace("other");
    const twin = await api.create<"ConfigMap">({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "twin", namespace },
      data: { in: "here" },
    });
    const second = await refusal(
      api.create({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "twin", namespace } }),
    );
    await api.create({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "twin", namespace: other },
      data: { in: "there" },
    });
    bench.claim("a name can be used once in a namespace", second?.reason, "AlreadyExists");
    const there = await api.get("ConfigMap", "twin", other);
    bench.claim("and again in another namespace, for another object", there.metadata.uid, otherThan(twin.metadata.uid));
    bench.claim("each has its own content", [twin.data?.["in"], there.data?.["in"]], ["here", "there"]);
    const everywhere = await api.list("ConfigMap", { fields: "metadata.name=twin" });
    bench.claim(
      "a list across all namespaces finds both",
      everywhere.map((c) => c.metadata.namespace).sort(),
      [namespace, other].sort(),
    );
    bench.claim(
      "every namespace is labelled with its own name",
      (await api.get("Namespace", other)).metadata.labels?.["kubernetes.io/metadata.name"],
      other,
    );
    const [node] = await api.list("Node");
    bench.claim("a node is not in a namespace", node!.metadata.namespace ?? "none", "none");
    const within = await api.request("GET", `/api/v1/namespaces/${namespace}/nodes/${node!.metadata.name}`);
    bench.claim("and cannot be found in one", within.status, 404);
  });

  await adoption(bench);
}

/** A controller owns what its selector finds: a label change is all it takes to join or to leave. */
async function adoption(bench: Bench): Promise<void> {
  const { api, namespace } = bench;
  const pods = await bench.watch("Pod", { labels: "app in (adopt,apart)" });
  const slices = await bench.watch("EndpointSlice", { labels: "kubernetes.io/service-name=adopt" });
  const adopted = (items: readonly Pod[]): readonly Pod[] =>
    items.filter((p) => p.metadata.labels?.["app"] === "adopt" && !p.metadata.deletionTimestamp);
  const owned = (items: readonly Pod[]): boolean =>
    adopted(items).length === 2 && adopted(items).every((p) => ownerOf(p) === "adopt" && isReady(p));
  const relabel = (value: string) => api.patch("Pod", "stray", namespace, { metadata: { labels: { app: value } } });
  const targets = () => slices.items.flatMap((s) => (s.endpoints ?? []).map((e) => e.targetRef?.name ?? "")).sort();

  await bench.disturb("a pod made by hand carries the label that a new ReplicaSet selects", async () => {
    await bench.apply("stray.yaml");
    bench.claim("the pod has no owner", ownerOf(await api.get("Pod", "stray", namespace)), "none");
    await bench.apply("adopt.yaml");
    await pods.until("two pods owned by the ReplicaSet", owned, 60);
  });
  bench.claim("the ReplicaSet adopted it", ownerOf(pods.named("stray")), "adopt");
  bench.claim("and created only one more", adopted(pods.items).length, 2);

  await bench.disturb("its label is changed", () => relabel("apart"));
  await bench.observe("it is released, and replaced", () =>
    pods.until("a replacement", (items) => owned(items) && items.length === 3, 60),
  );
  bench.claim(
    "the pod keeps running, as an orphan",
    [ownerOf(pods.named("stray")), pods.named("stray")!.status.phase],
    ["none", "Running"],
  );
  await slices.until("the Service to follow", () => targets().length === 2 && !targets().includes("stray"), 20);
  bench.claim("the Service dropped it too", targets().includes("stray"), false);

  await bench.disturb("the label is put back", () => relabel("adopt"));
  await bench.observe("three match, two are wanted", () =>
    pods.until("two pods again", (items) => owned(items) && items.length === 2, 60),
  );
  bench.claim("the surplus pod was deleted", pods.items.length, 2);

  const [set] = await api.list("ReplicaSet", { namespace });
  const moved = await refusal(
    api.patch("ReplicaSet", "adopt", namespace, { spec: { selector: { matchLabels: { app: "apart" } } } }),
  );
  bench.claim("a selector cannot be changed", moved?.message ?? "", contains("field is immutable"));
  const mismatch = {
    ...set!,
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: { name: "mismatch", namespace },
    spec: { ...set!.spec, selector: { matchLabels: { app: "x" } } },
  };
  const refused = await refusal(api.create(mismatch));
  bench.claim(
    "a template must match its own selector",
    refused?.message ?? "",
    contains("`selector` does not match template `labels`"),
  );
}

export default {
  name: "labels-selectors",
  title: "Labels, selectors, namespaces and annotations",
  part: "V · Organizing objects",
  hypothesis:
    "Objects are grouped by labels alone: a query, a Service and a controller all find their objects by a selector, evaluated at that moment, so changing one label is enough to move a pod from one owner to another. Annotations carry data, and nothing selects by them.",
  experiment,
} satisfies Lab;
