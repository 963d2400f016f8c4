/** Allocatable = Capacity - kubeReserved - systemReserved - the hard eviction threshold; to the last Ki. */
import { checked } from "../framework/api";
import type { Bench } from "../framework/bench";
import { contains } from "../framework/expectation";
import type { Manifest, Stored } from "../framework/kinds";
import type { Lab } from "../framework/lab";
import { kibibytes, millicores, requestedOn } from "../framework/quantity";
import { conditionOf } from "../framework/states";

/** What the lab adds to the stack's own reservation. */
const more = { cpu: 150, memory: 256 * 1024 };

interface Resources {
  readonly cpu: number;
  readonly memory: number;
}
interface KubeletConfig {
  readonly kubeReserved?: Readonly<Record<string, string>>;
  readonly systemReserved?: Readonly<Record<string, string>>;
  readonly evictionHard?: Readonly<Record<string, string>>;
}

const inNumbers = (list: Readonly<Record<string, string>> | undefined): Resources => ({
  cpu: millicores(list?.["cpu"]),
  memory: kibibytes(list?.["memory"]),
});
const minus = (a: Resources, ...others: readonly Resources[]): Resources =>
  others.reduce((rest, b) => ({ cpu: rest.cpu - b.cpu, memory: rest.memory - b.memory }), a);

async function experiment(bench: Bench): Promise<void> {
  const { api, namespace } = bench;
  const worker = bench.nodes.workers[0]!;
  const node = () => api.get("Node", worker);
  /** The configuration that the running kubelet reports. */
  const kubelet = async (): Promise<KubeletConfig> =>
    (checked(await api.request("GET", `/api/v1/nodes/${worker}/proxy/configz`)) as { kubeletconfig: KubeletConfig })
      .kubeletconfig;
  const threshold = (config: KubeletConfig): Resources => ({
    cpu: 0,
    memory: kibibytes(config.evictionHard?.["memory.available"]),
  });

  const before = await bench.baseline(`what ${worker} has, and what it offers`, async () => {
    const { status } = await node();
    const config = await kubelet();
    const machine = await bench.nodes.output(worker, "nproc; awk '/^MemTotal:/ {print $2}' /proc/meminfo");
    const [cpus, memory] = machine.trim().split("\n").map(Number);
    bench.claim("Capacity is what the machine has", inNumbers(status.capacity), { cpu: cpus! * 1000, memory: memory! });
    const reserved = [inNumbers(config.kubeReserved), inNumbers(config.systemReserved)];
    const formula = minus(inNumbers(status.capacity), ...reserved, threshold(config));
    bench.claim(
      "Allocatable = Capacity - kubeReserved - systemReserved - eviction threshold (m, Ki)",
      inNumbers(status.allocatable),
      formula,
    );
    return { capacity: inNumbers(status.capacity), allocatable: inNumbers(status.allocatable), config };
  });
  bench.keep("before", before);

  const own = inNumbers(before.config.kubeReserved);
  const reservation = { cpu: `${own.cpu + more.cpu}m`, memory: `${own.memory + more.memory}Ki` };
  await bench.disturb(
    `the stack reserves ${more.cpu}m and ${more.memory / 1024}Mi more for Kubernetes' own daemons (kubeReserved, pulumi up)`,
    () => bench.setStack("the stack's own kubeReserved", { kubeReserved: reservation }),
  );
  const after = await bench.observe("the node's new figures", () =>
    bench.until(
      `Allocatable of ${worker} to change`,
      node,
      ({ status }) => inNumbers(status.allocatable).memory !== before.allocatable.memory,
      60,
    ),
  );
  const lower = inNumbers(after.status.allocatable);
  bench.keep("after", after.status.allocatable);
  bench.claim("Allocatable dropped by exactly the reservation (m, Ki)", minus(before.allocatable, lower), more);
  bench.claim("Capacity is as it was", inNumbers(after.status.capacity), before.capacity);
  bench.claim(
    "the running kubelet has the new reservation",
    inNumbers((await kubelet()).kubeReserved),
    inNumbers(reservation),
  );
  const cgroup = await bench.nodes.output(worker, limitOfPods);
  const reservedNow = [inNumbers(reservation), inNumbers(before.config.systemReserved)];
  bench.claim(
    "the kernel limits all pods together to Capacity - reservations (Ki)",
    Number(cgroup.trim()) / 1024,
    minus(before.capacity, ...reservedNow).memory,
  );

  const free = lower.memory - requestedOn(worker, await api.list("Pod")).memory;
  const [fits, exceeds] = await bench.observe("the scheduler uses the new figures", async () => {
    await bench.create(probe(bench, worker, "exceeds", free + 1));
    await bench.create(probe(bench, worker, "fits", free));
    const decided = (name: string) =>
      bench.until(
        `the scheduler's decision on ${name}`,
        () => api.get("Pod", name, namespace),
        (pod: Stored<"Pod">) => conditionOf(pod, "PodScheduled") !== undefined,
        20,
      );
    return [await decided("fits"), await decided("exceeds")] as const;
  });
  bench.claim(`a pod that asks for everything that is free (${free}Ki) is bound`, fits.spec.nodeName, worker);
  bench.claim(
    "one Ki more is too much",
    conditionOf(exceeds, "PodScheduled")?.message ?? "",
    contains("Insufficient memory"),
  );
  await api.delete("Pod", "fits", namespace, { graceSeconds: 0 });

  await bench.disturb("the stack goes back to its own reservation", () => bench.takeBack());
  const restored = await bench.observe("the node's figures", () =>
    bench.until(
      "Allocatable to be as before",
      node,
      ({ status }) => inNumbers(status.allocatable).memory === before.allocatable.memory,
      60,
    ),
  );
  bench.claim("Allocatable is as it was", inNumbers(restored.status.allocatable), before.allocatable);
  const placed = await bench.observe("the pod that was too large", () =>
    bench.until(
      "pod exceeds to be bound",
      () => api.get("Pod", "exceeds", namespace),
      (pod) => pod.spec.nodeName !== undefined,
      60,
    ),
  );
  bench.claim("it fits now, without being touched", placed.spec.nodeName, worker);
}

/** Memory limit of the cgroup above all pods, in bytes, for cgroup v2 and v1. */
const limitOfPods = `cat "$(find /sys/fs/cgroup -path '*kubepods.slice/memory.max' -o -path '*kubepods.slice/memory.limit_in_bytes' | awk '{print length, $0}' | sort -n | head -1 | cut -d' ' -f2-)"`;

/** The pod of the manifest, with its request in Ki. */
function probe(bench: Bench, worker: string, name: string, memory: number): Manifest {
  const [pod] = bench.manifests("pod.yaml");
  const spec = pod!["spec"] as { containers: object[] };
  const container = { ...spec.containers[0], resources: { requests: { memory: `${memory}Ki` } } };
  return {
    ...pod!,
    metadata: { ...pod!.metadata, name },
    spec: { ...spec, nodeSelector: { "kubernetes.io/hostname": worker }, containers: [container] },
  };
}

export default {
  name: "node-allocatable",
  title: "Node Allocatable: the resources a pod actually gets",
  part: "VI · Configuration and resources",
  hypothesis:
    "A node does not give away everything it has: what is reserved for its daemons and held back against running out of memory comes off Capacity, to the last Ki, and the rest is all that the scheduler ever hands out.",
  needs: ["nodes", "stack"],
  limit: 420,
  experiment,
} satisfies Lab;
