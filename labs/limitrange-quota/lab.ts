/** Rules for a namespace: sizes that are filled in and refused one by one, and a sum that may not be exceeded. */
import { refusal } from "../framework/api";
import type { Bench } from "../framework/bench";
import { contains } from "../framework/expectation";
import type { Manifest, Stored } from "../framework/kinds";
import type { Lab } from "../framework/lab";
import { conditionOf } from "../framework/states";

type Resources = Readonly<Record<"requests" | "limits", Readonly<Record<string, string>>>>;

async function experiment(bench: Bench): Promise<void> {
  const { api, namespace } = bench;
  /** The manifest's pod under another name, with one container for each of these sizes. */
  const pod = (name: string, ...sizes: (Partial<Resources> | undefined)[]): Manifest => {
    const [template] = bench.manifests("pod.yaml");
    const spec = template!["spec"] as { containers: { name: string }[] };
    const containers = (sizes.length ? sizes : [undefined]).map((resources, i) => ({
      ...spec.containers[0]!,
      ...(i ? { name: `${spec.containers[0]!.name}-${i}` } : {}),
      ...(resources ? { resources } : {}),
    }));
    return { ...template!, metadata: { ...template!.metadata, name }, spec: { ...spec, containers } };
  };

  await bench.baseline("without rules, a pod that asks for nothing gets nothing", async () => {
    const free = await api.create<"Pod">(pod("free"));
    bench.claim("no requests, no limits", free.spec.containers[0]!.resources, {});
    await api.delete("Pod", "free", namespace, { graceSeconds: 0 });
  });

  await bench.disturb("a LimitRange is created", () => bench.apply("limits.yaml"));
  await bench.observe("what happens to pods at admission", async () => {
    const modest = await bench.until(
      "the LimitRange to be in force",
      () => api.create<"Pod">(pod("modest"), { dryRun: true }),
      limited,
      10,
    );
    bench.claim("defaults are written into the pod", modest.spec.containers[0]!.resources, {
      requests: { cpu: "50m", memory: "32Mi" },
      limits: { cpu: "100m", memory: "64Mi" },
    });
    bench.claim(
      "and an annotation says what wrote them",
      modest.metadata.annotations?.["kubernetes.io/limit-ranger"] ?? "",
      contains("LimitRanger plugin set"),
    );
    const own = await api.create<"Pod">(pod("own", { limits: { cpu: "200m", memory: "100Mi" } }), { dryRun: true });
    bench.claim("limits without requests: the requests equal the limits", own.spec.containers[0]!.resources?.requests, {
      cpu: "200m",
      memory: "100Mi",
    });
    const large = await refusal(api.create(pod("large", { limits: { cpu: "600m" } })));
    bench.claim("over the maximum: 403", [large?.status, large?.reason], [403, "Forbidden"]);
    bench.claim(
      "with a readable reason",
      large?.message ?? "",
      contains("maximum cpu usage per Container is 500m, but limit is 600m"),
    );
    const small = await refusal(api.create(pod("small", { requests: { memory: "4Mi" }, limits: { memory: "64Mi" } })));
    bench.claim(
      "under the minimum: 403 as well",
      small?.message ?? "",
      contains("minimum memory usage per Container is 8Mi, but request is 4Mi"),
    );
  });

  const quotas = await bench.watch("ResourceQuota");
  await bench.disturb("a ResourceQuota of three pods is created", async () => {
    await bench.apply("quota.yaml");
    await quotas.until("the quota's usage to be counted", ([q]) => q?.status.used?.["pods"] === "0", 20);
  });
  await bench.observe("three pods fit", async () => {
    for (const name of ["one", "two", "three"]) await api.create(pod(name));
    await quotas.until("three pods to be counted", ([q]) => q?.status.used?.["pods"] === "3", 20);
  });
  bench.claim("used is the sum of the injected requests", used(quotas.items[0]!), {
    pods: "3",
    "requests.cpu": "150m",
    "requests.memory": "96Mi",
  });

  const fourth = await bench.observe("the fourth does not", () => refusal(api.create(pod("four"))));
  bench.claim("it is refused with 403", fourth?.status, 403);
  bench.claim(
    "the message does the arithmetic",
    fourth?.message ?? "",
    contains("exceeded quota: team, requested: pods=1, used: pods=3, limited: pods=3"),
  );
  bench.keep("message of the fourth pod", fourth?.message);

  await bench.disturb("one pod is deleted", async () => {
    await api.delete("Pod", "one", namespace, { graceSeconds: 0 });
    await quotas.until("its share to be free again", ([q]) => q?.status.used?.["pods"] === "2", 30);
  });
  const sum = await refusal(
    api.create(pod("fat", { limits: { cpu: "100m", memory: "256Mi" } }, { limits: { cpu: "100m", memory: "256Mi" } })),
  );
  bench.claim(
    "one pod of 512Mi is refused: the sum counts, though each container is within its own limits",
    [sum?.status, /requested: .*?$/.exec(sum?.message ?? "")?.[0]],
    [403, "requested: requests.memory=512Mi, used: requests.memory=64Mi, limited: requests.memory=512Mi"],
  );
  bench.claim("now the fourth fits", (await api.create<"Pod">(pod("four"))).metadata.name, "four");

  const map = (name: string) => bench.create({ apiVersion: "v1", kind: "ConfigMap", metadata: { name } });
  const counted = (await quotas.until("ConfigMaps to be counted", ([q]) => q?.status.used !== undefined, 10))[0]!;
  const already = Number(counted.status.used?.["count/configmaps"]);
  await bench.disturb(
    `as many ConfigMaps as the quota allows: ${5 - already} in addition to the ${already} already there`,
    async () => {
      for (let i = already; i < 5; i++) await map(`map-${i}`);
    },
  );
  const oneMore = await refusal(map("one-more"));
  bench.claim(
    "objects of any kind can be counted, and one more is refused",
    [oneMore?.status, /requested: .*?$/.exec(oneMore?.message ?? "")?.[0]],
    [403, "requested: count/configmaps=1, used: count/configmaps=5, limited: count/configmaps=5"],
  );

  await bench.disturb("a Deployment of four is created in the full namespace", () => bench.apply("deployment.yaml"));
  const greedy = await bench.observe("where the refusal is reported, since the Deployment itself was accepted", () =>
    bench.until(
      "the Deployment to report it",
      () => api.get("Deployment", "greedy", namespace),
      (d) => conditionOf(d, "ReplicaFailure")?.status === "True",
      30,
    ),
  );
  bench.claim(
    "in the Deployment's condition ReplicaFailure",
    conditionOf(greedy, "ReplicaFailure")?.message ?? "",
    contains("exceeded quota: team"),
  );
  const events = await api.list("Event", { namespace, fields: "involvedObject.kind=ReplicaSet,reason=FailedCreate" });
  bench.claim("and in the ReplicaSet's events", events[0]?.message ?? "", contains("exceeded quota: team"));

  await bench.disturb("the LimitRange is deleted, the quota stays", () => api.delete("LimitRange", "sizes", namespace));
  const unsized = await bench.observe("a pod that asks for nothing", () =>
    bench.until(
      "the quota to require requests",
      () => refusal(api.create(pod("unsized"), { dryRun: true })),
      (r) => r?.message.includes("must specify") ?? false,
      10,
    ),
  );
  bench.claim("a quota on CPU makes requests mandatory", unsized?.message ?? "", contains("must specify requests.cpu"));
}

const limited = (pod: Stored<"Pod">): boolean => pod.spec.containers[0]!.resources?.limits !== undefined;

function used(quota: Stored<"ResourceQuota">): Record<string, string | undefined> {
  const { pods, "requests.cpu": cpu, "requests.memory": memory } = quota.status.used ?? {};
  return { pods, "requests.cpu": cpu, "requests.memory": memory };
}

export default {
  name: "limitrange-quota",
  title: "LimitRange and ResourceQuota",
  part: "VI · Configuration and resources",
  hypothesis:
    "A LimitRange looks at one container at a time: it fills in what is missing and refuses what is out of range. A ResourceQuota looks at the sum, and refuses the request that would exceed it, with the arithmetic in the message.",
  experiment,
} satisfies Lab;
