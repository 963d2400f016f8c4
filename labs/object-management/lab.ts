/** Three ways to write an object, who owns which field, and the version that etcd stores. */
import { join } from "node:path";
import { checked, refusal } from "../framework/api";
import type { Bench } from "../framework/bench";
import { registryKey, storedType } from "../framework/etcd";
import { contains, such } from "../framework/expectation";
import type { Manifest, Stored } from "../framework/kinds";
import type { Lab } from "../framework/lab";
import { labsDir } from "../framework/manifests";

type Deployment = Stored<"Deployment">;
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration";

/** Managers of a Deployment that own spec.replicas. */
const ownersOfReplicas = (deployment: Deployment): string[] =>
  (deployment.metadata.managedFields ?? [])
    .filter((entry) => "f:replicas" in ((entry.fieldsV1 as { "f:spec"?: object } | undefined)?.["f:spec"] ?? {}))
    .map((entry) => entry.manager ?? "")
    .sort();

async function experiment(bench: Bench): Promise<void> {
  await bench.baseline("an application of three objects", () => bench.apply("shop.yaml"));
  await imperative(bench);
  await withKubectl(bench);
  await declarative(bench);
  await recommendedLabels(bench);
  await storageVersion(bench);
}

/** Imperative: each request says what to do, and depends on what is there. */
async function imperative(bench: Bench): Promise<void> {
  const { api, namespace } = bench;
  const settings = (data: Record<string, string>): Manifest => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "imperative", namespace },
    data,
  });
  await bench.observe("imperative: create, create again, replace", async () => {
    const made = await bench.create<"ConfigMap">(settings({ color: "red" }));
    const second = await refusal(bench.create(settings({ color: "red" })));
    bench.claim("create refuses an object that exists", [second?.status, second?.reason], [409, "AlreadyExists"]);
    const patched = await api.patch("ConfigMap", "imperative", namespace, { data: { size: "large" } });
    bench.claim("a patch changes what it names and keeps the rest", patched.data, { color: "red", size: "large" });
    const stale = await refusal(api.replace({ ...settings({ color: "blue" }), metadata: made.metadata }));
    bench.claim(
      "replacing an object that has changed in the meantime is refused",
      [stale?.status, stale?.reason],
      [409, "Conflict"],
    );
    const replaced = await api.replace<"ConfigMap">(settings({ color: "blue" }));
    bench.claim("replace takes the whole object: what it does not name is removed", replaced.data, { color: "blue" });
    const dry = await api.patch("ConfigMap", "imperative", namespace, { data: { color: "green" } }, { dryRun: true });
    const kept = await api.get("ConfigMap", "imperative", namespace);
    bench.claim(
      "a dry run returns the result but stores nothing",
      [dry.data, kept.data],
      [{ color: "green" }, { color: "blue" }],
    );
  });
}

/** The same with kubectl, which keeps its own record in an annotation. */
async function withKubectl(bench: Bench): Promise<void> {
  const folder = join(labsDir, "object-management", "manifests");
  const file = join(folder, "settings.yaml");
  const create = await bench.kubectl("create", "-f", file);
  if (!create) return bench.keep("kubectl", "not found on this machine; its claims were skipped");
  const settings = () => bench.api.get("ConfigMap", "settings", bench.namespace);
  await bench.observe("kubectl create -f compared with kubectl apply -f", async () => {
    bench.claim(
      "create -f leaves no record of what was requested",
      (await settings()).metadata.annotations?.[lastApplied],
      undefined,
    );
    const again = await bench.kubectl("create", "-f", file);
    bench.claim("create -f fails the second time", again?.stderr ?? "", contains("AlreadyExists"));
    const applied = await bench.kubectl("apply", "-f", file);
    bench.claim(
      "apply takes over, with a warning",
      applied?.stderr ?? "",
      contains("missing the kubectl.kubernetes.io/last-applied-configuration annotation"),
    );
    bench.claim(
      "and records what was requested",
      (await settings()).metadata.annotations?.[lastApplied] ?? "",
      contains('"currency":"EUR"'),
    );
    const unchanged = await bench.kubectl("apply", "-f", file);
    bench.claim("apply can be repeated", unchanged?.stdout.trim(), "configmap/settings unchanged");
  });
  await bench.observe("three sides: what was requested, what is requested now, what is there", async () => {
    await bench.api.patch("ConfigMap", "settings", bench.namespace, { data: { note: "by someone else" } });
    await bench.kubectl("apply", "-f", join(folder, "settings-later.yaml"));
    bench.claim("apply removes what it no longer requests, and leaves what others wrote", (await settings()).data, {
      language: "et",
      note: "by someone else",
    });
    await bench.kubectl("replace", "-f", file);
    bench.claim("replace leaves only what the file has", (await settings()).data, { currency: "EUR" });
  });
  await aFolder(bench, folder);
}

/** Declarative with a folder: what is in it is created or changed, what is not is left alone. */
async function aFolder(bench: Bench, folder: string): Promise<void> {
  const namespace = await bench.makeNamespace("folder");
  const kubectl = async (...args: string[]) => (await bench.kubectl("--namespace", namespace, ...args))!;
  const shop = join(folder, "shop.yaml");
  await bench.observe("kubectl apply -f with a whole folder", async () => {
    const made = await kubectl("apply", "-f", folder);
    bench.claim("everything in it is created", made.stdout.trim().split("\n").sort(), [
      "configmap/settings configured",
      "configmap/settings created",
      "configmap/shop-settings created",
      "deployment.apps/shop-web created",
      "service/shop-web created",
    ]);
  });
  await bench.disturb("a command changes what a file describes, but not the file", async () => {
    const scaled = await kubectl("scale", "deployment/shop-web", "--replicas=2");
    bench.claim("the command takes effect", scaled.stdout.trim(), "deployment.apps/shop-web scaled");
  });
  await bench.observe("kubectl diff, and the next apply", async () => {
    const diff = await kubectl("diff", "-f", shop);
    bench.claim(
      "diff shows that the cluster has drifted from the file (exit code 1)",
      [diff.exitCode, diff.stdout.split("\n").filter((line) => /^[-+]\s+replicas:/.test(line))],
      [1, ["-  replicas: 2", "+  replicas: 1"]],
    );
    await kubectl("apply", "-f", shop);
    bench.claim(
      "apply reverts the command, which is why the two should not be mixed",
      (await bench.api.get("Deployment", "shop-web", namespace)).spec.replicas,
      1,
    );
  });
}

/** Server-side apply: the API server knows who set which field. */
async function declarative(bench: Bench): Promise<void> {
  const { api, namespace } = bench;
  const replicas = (count: number): Manifest => ({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "shop-web", namespace },
    spec: { replicas: count },
  });
  const web = () => api.get("Deployment", "shop-web", namespace);

  bench.claim("the applier owns what it applied", ownersOfReplicas(await web()), ["labs"]);
  const conflict = await bench.observe("another applier wants a different number of replicas", () =>
    refusal(api.apply(replicas(3), { fieldManager: "autoscaler" })),
  );
  bench.claim("that is a conflict", [conflict?.status, conflict?.reason], [409, "Conflict"]);
  bench.claim(
    "and it names owner and field",
    conflict?.message ?? "",
    contains('conflict with "labs": .spec.replicas'),
  );
  bench.keep("message of the conflict", conflict?.message);

  await bench.disturb("the same value is not a conflict: both own it", () =>
    api.apply(replicas(1), { fieldManager: "autoscaler" }),
  );
  bench.claim("two owners", ownersOfReplicas(await web()), ["autoscaler", "labs"]);
  await bench.disturb("the autoscaler forces another value", () =>
    api.apply(replicas(2), { fieldManager: "autoscaler", force: true }),
  );
  const forced = await web();
  bench.claim("the field has changed hands", [forced.spec.replicas, ownersOfReplicas(forced)], [2, ["autoscaler"]]);

  await bench.disturb("the first applier leaves the field out of its manifest", () =>
    bench.apply("shop.yaml", (object) => {
      if (object.kind === "Deployment") delete (object["spec"] as { replicas?: number }).replicas;
    }),
  );
  bench.claim("what it no longer owns, it no longer resets", (await web()).spec.replicas, 2);
  const shop = bench.manifests("shop.yaml").find((object) => object.kind === "Deployment")!;
  const replaced = await api.replace<"Deployment">(shop, { dryRun: true });
  bench.claim("replace would have reset it", replaced.spec.replicas, 1);
}

/** Labels that every tool understands. https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/ */
async function recommendedLabels(bench: Bench): Promise<void> {
  const { api, namespace } = bench;
  const where = { namespace, labels: "app.kubernetes.io/part-of=shop" };
  const found = await bench.observe("one selector across several kinds", async () => [
    ...(await api.list("Deployment", where)).map((o) => `Deployment ${o.metadata.name}`),
    ...(await api.list("Service", where)).map((o) => `Service ${o.metadata.name}`),
    ...(await api.list("ConfigMap", where)).map((o) => `ConfigMap ${o.metadata.name}`),
  ]);
  bench.claim("app.kubernetes.io/part-of finds the whole application", found, [
    "Deployment shop-web",
    "Service shop-web",
    "ConfigMap shop-settings",
  ]);
  const front = await api.list("Service", {
    namespace,
    labels: "app.kubernetes.io/part-of=shop,app.kubernetes.io/component=frontend",
  });
  bench.claim(
    "and component finds one part of it",
    front.map((o) => o.metadata.name),
    ["shop-web"],
  );
}

/** An API may be served in several versions; etcd stores one. */
async function storageVersion(bench: Bench): Promise<void> {
  const { api, namespace } = bench;
  const path = (version: string): string =>
    `/apis/autoscaling/${version}/namespaces/${namespace}/horizontalpodautoscalers`;
  await bench.disturb("an autoscaler is written as autoscaling/v1", async () => {
    const scaler = {
      apiVersion: "autoscaling/v1",
      kind: "HorizontalPodAutoscaler",
      metadata: { name: "shop-web" },
      spec: {
        scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "shop-web" },
        maxReplicas: 3,
        targetCPUUtilizationPercentage: 50,
      },
    };
    checked(await api.request("POST", path("v1"), { body: scaler }));
  });
  type Scaler = {
    spec: {
      targetCPUUtilizationPercentage?: number;
      metrics?: { resource: { target: { averageUtilization: number } } }[];
    };
  };
  const asV1 = checked(await api.request("GET", `${path("v1")}/shop-web`)) as Scaler;
  const asV2 = checked(await api.request("GET", `${path("v2")}/shop-web`)) as Scaler;
  bench.claim("read as v1, the target is one field", asV1.spec.targetCPUUtilizationPercentage, 50);
  bench.claim(
    "read as v2, the same object has a list of metrics",
    asV2.spec.metrics?.[0]?.resource.target.averageUtilization,
    50,
  );

  const read = async (...key: string[]) => {
    const entry = await bench.etcd.get(registryKey(...key, namespace, "shop-web"));
    if (!entry) throw new Error(`etcd has no key ${registryKey(...key, namespace, "shop-web")}`);
    return storedType(entry.value);
  };
  const stored = await bench.observe("the values in etcd", async () => ({
    autoscaler: await read("horizontalpodautoscalers"),
    deployment: await read("deployments"),
  }));
  bench.claim("etcd stores the autoscaler as v2, though it was written as v1", stored.autoscaler, {
    apiVersion: "autoscaling/v2",
    kind: "HorizontalPodAutoscaler",
  });
  bench.claim("and the Deployment as apps/v1", stored.deployment, { apiVersion: "apps/v1", kind: "Deployment" });
  const versions = await Promise.all(
    ["v1", "v2"].map(async (version) => {
      const list = checked(await api.request("GET", `/apis/autoscaling/${version}`)) as {
        resources: { name: string; storageVersionHash?: string }[];
      };
      return list.resources.find((r) => r.name === "horizontalpodautoscalers")?.storageVersionHash ?? "";
    }),
  );
  bench.claim(
    "discovery reports one storage version for both",
    versions,
    such("two equal hashes", ([a, b]) => a === b && a !== ""),
  );
}

export default {
  name: "object-management",
  title: "Object management, recommended labels, and storage version",
  part: "V · Organizing objects",
  hypothesis:
    "Create, replace and apply differ in what they do with fields that they do not name, and server-side apply records who owns each field. However an object was written, etcd stores it in one version, and every read converts from that.",
  needs: ["nodes"],
  experiment,
} satisfies Lab;
