/** Collects what the report needs from the cluster and writes it: index.html and labs.json. */
import { existsSync, readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Cluster } from "../framework/cluster";
import type { Stored } from "../framework/kinds";
import type { LabResult } from "../framework/result";
import { has } from "../framework/states";
import { merged, type Report, type ReportNode } from "./model";
import { page } from "./page";

/**
 * @param order names of all labs, in the order of the series.
 * @returns path of the page.
 */
export async function writeReport(
  dir: string,
  cluster: Cluster,
  results: readonly LabResult[],
  order: readonly string[],
): Promise<string> {
  const json = join(dir, "labs.json");
  const earlier = existsSync(json) ? (JSON.parse(readFileSync(json, "utf8")) as Report) : undefined;
  const report = await collect(cluster, (clusterId) => merged(earlier, clusterId, results, order));
  await mkdir(dir, { recursive: true });
  await writeFile(json, `${JSON.stringify(report, null, 2)}\n`);
  const file = join(dir, "index.html");
  await writeFile(file, page(report));
  return file;
}

async function collect(cluster: Cluster, results: (clusterId: string) => LabResult[]): Promise<Report> {
  const system = await cluster.api.find("Namespace", "kube-system").catch(() => undefined);
  const clusterId = system?.metadata.uid ?? "";
  const labs = results(clusterId);
  const nodes = await cluster.api.list("Node").catch(() => []);
  const version = (await cluster.api.request("GET", "/version").catch(() => undefined))?.json as
    { gitVersion?: string } | undefined;
  const etcd = cluster.etcd && (await cluster.etcd.version().catch(() => undefined));
  const podCidrs = await podNetworks(cluster, nodes);
  const info = nodes[0]?.status.nodeInfo;
  return {
    cluster: cluster.name,
    clusterId,
    apiEndpoint: cluster.api.server.origin,
    startedAt: labs.map((lab) => lab.startedAt).sort()[0] ?? new Date().toISOString(),
    seconds: Math.round(labs.reduce((sum, lab) => sum + lab.seconds, 0)),
    versions: {
      ...(version?.gitVersion ? { Kubernetes: version.gitVersion } : {}),
      ...(etcd ? { etcd } : {}),
      ...(info
        ? { "container runtime": info.containerRuntimeVersion, system: info.osImage, kernel: info.kernelVersion }
        : {}),
    },
    nodes: nodes.map((node) => describe(node, podCidrs[node.metadata.name] ?? "")).sort(byRoleAndName),
    labs,
  };
}

function describe({ metadata, spec, status }: Stored<"Node">, podCidr: string): ReportNode {
  const labels = metadata.labels ?? {};
  return {
    name: metadata.name,
    role: "node-role.kubernetes.io/control-plane" in labels ? "control-plane" : "worker",
    zone: labels["topology.kubernetes.io/zone"] ?? zoneOf(spec.providerID) ?? "one zone",
    address: status.addresses?.find((a) => a.type === "InternalIP")?.address ?? "",
    podCidr: spec.podCIDR ?? podCidr,
    ready: has({ status }, "Ready"),
    kubelet: status.nodeInfo?.kubeletVersion ?? "",
    runtime: status.nodeInfo?.containerRuntimeVersion ?? "",
    os: status.nodeInfo?.osImage ?? "",
  };
}

/** aws:///ap-southeast-1a/i-0123 -> ap-southeast-1a; there is no cloud controller here that would set the label. */
const zoneOf = (providerId: string | undefined): string | undefined =>
  /^aws:\/\/\/([^/]+)\//.exec(providerId ?? "")?.[1];

/** Pod networks as the machines' CNI configuration has them: the API does not know them where routes were made by hand. */
async function podNetworks(
  { nodes: machines }: Cluster,
  nodes: readonly Stored<"Node">[],
): Promise<Record<string, string>> {
  const names = nodes.map((node) => node.metadata.name).filter((name) => machines?.names.includes(name));
  const read = names.map(async (name) => {
    const { stdout } = await machines!.run(name, "cat /etc/cni/net.d/*.conf*").catch(() => ({ stdout: "" }));
    return [name, /"subnet":\s*"([^"]+)"/.exec(stdout)?.[1] ?? ""] as const;
  });
  return Object.fromEntries(await Promise.all(read));
}

const byRoleAndName = (a: ReportNode, b: ReportNode): number =>
  a.role.localeCompare(b.role) || a.name.localeCompare(b.name, "en", { numeric: true });
