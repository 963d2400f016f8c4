/** Rules between configuration keys. A rule is checked only if each key that it reads is valid on its own. */
import { address, cidr, contains, countSubnets, formatCidr, nthAddress, nthSubnet, overlap, size } from "../cidr";
import { allWorkers, maxControllers, nodePodPrefix, subnetPrefix, type Taint } from "../shape";
import { didYouMean } from "./did-you-mean";
import type { Fields } from "./fields";
import { capacity } from "../instance-types";

/** One thing that is wrong, and how to correct it. */
export interface Fault {
  readonly key: string;
  /** The offending value as text; undefined if it is a secret or not set. */
  readonly value?: string;
  readonly problem: string;
  readonly remedy: string;
}

type Finding = Omit<Fault, "value">;

interface Rule {
  readonly keys: readonly (keyof Fields)[];
  readonly check: (config: Fields) => Finding[];
}

const rule = <K extends keyof Fields>(keys: readonly K[], check: (config: Pick<Fields, K>) => Finding[]): Rule => ({
  keys,
  check: check as Rule["check"],
});

/** Findings of all rules whose keys have values. */
export function brokenRules(config: Partial<Fields>): Finding[] {
  return rules.filter(({ keys }) => keys.every((key) => key in config)).flatMap(({ check }) => check(config as Fields));
}

const finding = (wrong: boolean, key: keyof Fields, problem: string, remedy: string): Finding[] =>
  wrong ? [{ key, problem, remedy }] : [];

const disjoint = (a: "vpcCidr" | "podCidr" | "serviceCidr", b: "podCidr" | "serviceCidr"): Rule =>
  rule([a, b], (config) =>
    finding(
      overlap(cidr(config[a]), cidr(config[b])),
      b,
      `overlaps ${a} (${config[a]}), so it would be ambiguous which of them a packet belongs to.`,
      `Choose networks that share no address, such as 10.0.0.0/16, 10.200.0.0/16 and 10.32.0.0/24.`,
    ),
  );

/** "500m" -> 0.5 */
export const cpus = (quantity = "0"): number =>
  quantity.endsWith("m") ? Number(quantity.slice(0, -1)) / 1000 : Number(quantity);

const factors = { Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, k: 1e3, M: 1e6, G: 1e9 } as const;
/** "256Mi" -> bytes */
export function bytes(quantity = "0"): number {
  const [, number, unit] = /^(\d+)(\D*)$/.exec(quantity) ?? [];
  return Number(number) * (factors[unit as keyof typeof factors] ?? 1);
}

const reservations = (["controlPlaneInstanceType", "workerInstanceType"] as const).map((type) =>
  rule([type, "kubeReserved", "systemReserved"], (config) => {
    const machine = capacity(config[type]);
    if (!machine) return [];
    const cpu = cpus(config.kubeReserved.cpu) + cpus(config.systemReserved.cpu);
    const memory = bytes(config.kubeReserved.memory) + bytes(config.systemReserved.memory);
    const problem = (what: string) => `and systemReserved together leave no ${what} for pods on a ${config[type]}.`;
    const remedy = `Reserve less than ${machine.cpu} CPUs and ${machine.memoryMiB}Mi in total, or choose a larger ${type}.`;
    return [
      ...finding(cpu >= machine.cpu, "kubeReserved", problem("CPU"), remedy),
      ...finding(memory >= machine.memoryMiB * 2 ** 20, "kubeReserved", problem("memory"), remedy),
    ];
  }),
);

/** The nodes' names, and the one for all workers. */
const nodeNames = ({ controlPlaneCount, workerCount }: Pick<Fields, "controlPlaneCount" | "workerCount">): string[] => [
  allWorkers,
  ...Array.from({ length: controlPlaneCount }, (_, index) => `controller-${index}`),
  ...Array.from({ length: workerCount }, (_, index) => `worker-${index}`),
];

const marks = (["nodeLabels", "nodeTaints"] as const).map((key) =>
  rule(["controlPlaneCount", "workerCount", key], (config) => {
    const names = nodeNames(config);
    return Object.keys(config[key]).flatMap((name) =>
      finding(
        !names.includes(name),
        key,
        `names the node "${name}", which the cluster does not have.`,
        `The nodes are ${names.slice(1).join(", ")}, and "${allWorkers}" are all workers.${didYouMean(name, names)}`,
      ),
    );
  }),
);

/** Whether a node with these taints repels pods that tolerate nothing. */
export const repels = (taints: readonly Taint[]): boolean => taints.some(({ effect }) => effect !== "PreferNoSchedule");

const rules: readonly Rule[] = [
  ...marks,
  rule(["controlPlaneCount", "workerCount", "nodeTaints"], (config) => {
    const { nodeTaints } = config;
    const taints = (name: string) => [
      ...(nodeTaints[name] ?? []),
      ...(name.startsWith("worker") ? (nodeTaints[allWorkers] ?? []) : []),
    ];
    const all = nodeNames(config).slice(1);
    return finding(
      all.every((name) => repels(taints(name))),
      "nodeTaints",
      "repels pods from every node, so that CoreDNS could not run.",
      "Leave one node without NoSchedule and NoExecute.",
    );
  }),
  rule(["vpcCidr", "zones"], ({ vpcCidr, zones }) => {
    const blocks = countSubnets(cidr(vpcCidr), subnetPrefix);
    return finding(
      blocks < zones + 1,
      "vpcCidr",
      `has ${blocks} blocks of /${subnetPrefix}; ${zones} zones take ${zones + 1} (the first is unused).`,
      `Use a /${zones === 1 ? 23 : 22} or larger, such as 10.0.0.0/16.`,
    );
  }),
  disjoint("vpcCidr", "podCidr"),
  disjoint("vpcCidr", "serviceCidr"),
  disjoint("podCidr", "serviceCidr"),
  ...(["podCidr", "serviceCidr"] as const).map((inside) =>
    rule(["adminCidr", inside], (config) =>
      finding(
        overlap(cidr(config.adminCidr), cidr(config[inside])),
        "adminCidr",
        `overlaps ${inside} (${config[inside]}), so every pod would be treated as the administrator.`,
        "Set the network that you connect from, or move the cluster's networks away from it.",
      ),
    ),
  ),
  rule(["adminCidr", "adminAccess", "vpcCidr", "zones"], ({ adminCidr, adminAccess, vpcCidr, zones }) => {
    const [admin, vpc] = [cidr(adminCidr), cidr(vpcCidr)];
    if (adminAccess === "public")
      return finding(
        overlap(admin, vpc),
        "adminCidr",
        `overlaps vpcCidr (${vpcCidr}), so machines of the cluster would be treated as the administrator.`,
        "Set your public address, or set adminAccess to private if you connect through the VPC.",
      );
    const subnets = Array.from({ length: zones + 1 }, (_, block) => block)
      .slice(1)
      .filter((block) => block < countSubnets(vpc, subnetPrefix))
      .map((block) => nthSubnet(vpc, subnetPrefix, block));
    return finding(
      subnets.some((subnet) => contains(admin, subnet)),
      "adminCidr",
      `contains a subnet of the cluster, so its machines would be treated as the administrator.`,
      "Set the network of the VPN, or the single address, that you connect from.",
    );
  }),
  rule(["serviceCidr", "clusterDns"], ({ serviceCidr, clusterDns }) => {
    const services = cidr(serviceCidr);
    const dns = address(clusterDns);
    const example = nthAddress(services, Math.min(10, size(services) - 2));
    return [
      ...finding(
        !dns || !contains(services, dns),
        "clusterDns",
        `is outside serviceCidr (${serviceCidr}).`,
        `Use ${example}.`,
      ),
      ...finding(
        [0, 1, size(services) - 1].some((n) => nthAddress(services, n) === clusterDns),
        "clusterDns",
        `is the first, second or last address of serviceCidr; the second belongs to the Service "kubernetes".`,
        `Use ${example}.`,
      ),
    ];
  }),
  rule(["podCidr", "workerCount"], ({ podCidr, workerCount }) => {
    const blocks = countSubnets(cidr(podCidr), nodePodPrefix);
    return finding(
      blocks < workerCount + maxControllers,
      "podCidr",
      `has ${blocks} blocks of /${nodePodPrefix}; ${workerCount} workers and up to ${maxControllers} control-plane nodes take one each.`,
      `Use a larger network such as ${formatCidr({ base: cidr("10.200.0.0/16").base, prefix: 16 })}, or fewer workers.`,
    );
  }),
  rule(["controlPlaneCount", "apiEndpoint", "zones"], ({ controlPlaneCount, apiEndpoint, zones }) => {
    if (controlPlaneCount === 1) return [];
    const kind = apiEndpoint ?? "nlb";
    return [
      ...finding(
        kind === "elastic-ip",
        "apiEndpoint",
        "is the address of one machine, so with 3 control-plane nodes the API would be lost with that machine.",
        "Set nlb (with zones 3) or haproxy.",
      ),
      ...finding(
        kind === "nlb" && zones === 1,
        "zones",
        "puts all 3 control-plane nodes in one zone, behind a load balancer whose purpose is to survive the loss of a zone.",
        "Set zones to 3, or set apiEndpoint to haproxy for the shape of the series, in one zone.",
      ),
    ];
  }),
  ...reservations,
];
