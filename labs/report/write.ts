/** Collects what the report needs from the cluster and writes index.html and labs.json. */
import { existsSync, readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Cluster } from "../framework/cluster";
import type { Stored } from "../framework/kinds";
import { has, internalIp, isWorker } from "../framework/states";
import { merged, type Outcome, type Report, type ReportNode } from "./model";
import { page } from "./page";

/**
 * @param order names of all labs, in the order of the series.
 * @returns path of the page.
 */
export async function writeReport(
  dir: string,
  cluster: Cluster,
  outcome: Outcome,
  order: readonly string[],
): Promise<string> {
  const json = join(dir, "labs.json");
  const earlier = existsSync(json) ? (JSON.parse(readFileSync(json, "utf8")) as Report) : undefined;
  const report = await collect(cluster, (clusterId) => merged(earlier, clusterId, outcome, order));
  await mkdir(dir, { recursive: true });
  await writeFile(json, `${JSON.stringify(report, null, 2)}\n`);
  const file = join(dir, "index.html");
  await writeFile(file, page(report));
  return file;
}

async function collect(cluster: Cluster, outcomeOn: (clusterId: string) => Outcome): Promise<Report> {
  const system = await cluster.api.find("Namespace", "kube-system").catch(() => undefined);
  const clusterId = system?.metadata.uid ?? "";
  const outcome = outcomeOn(clusterId);
  const { labs, conformance } = outcome;
  const nodes = await cluster.api.list("Node").catch(() => []);
  const version = (await cluster.api.request("GET", "/version").catch(() => undefined))?.json as
    { gitVersion?: string } | undefined;
  const etcd = cluster.etcd && (await cluster.etcd.version().catch(() => undefined));
  const info = nodes[0]?.status.nodeInfo;
  return {
    cluster: cluster.name,
    clusterId,
    apiEndpoint: cluster.api.server.origin,
    startedAt:
      [...labs, ...(conformance ? [conformance] : [])].map(({ startedAt }) => startedAt).sort()[0] ??
      new Date().toISOString(),
    seconds: Math.round(labs.reduce((sum, lab) => sum + lab.seconds, conformance?.seconds ?? 0)),
    versions: {
      ...(version?.gitVersion ? { Kubernetes: version.gitVersion } : {}),
      ...(etcd ? { etcd } : {}),
      ...(info
        ? { "container runtime": info.containerRuntimeVersion, system: info.osImage, kernel: info.kernelVersion }
        : {}),
    },
    nodes: nodes.map(describe).sort(byRoleAndName),
    ...outcome,
  };
}

function describe(node: Stored<"Node">): ReportNode {
  const { metadata, spec, status } = node;
  return {
    name: metadata.name,
    role: isWorker(node) ? "worker" : "control-plane",
    zone: metadata.labels?.["topology.kubernetes.io/zone"] ?? "one zone",
    address: internalIp(node),
    podCidr: spec.podCIDR ?? "",
    ready: has(node, "Ready"),
    kubelet: status.nodeInfo?.kubeletVersion ?? "",
    runtime: status.nodeInfo?.containerRuntimeVersion ?? "",
    os: status.nodeInfo?.osImage ?? "",
  };
}

const byRoleAndName = (a: ReportNode, b: ReportNode): number =>
  a.role.localeCompare(b.role) || a.name.localeCompare(b.name, "en", { numeric: true });
