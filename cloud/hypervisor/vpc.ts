/** The network of each VPC: a bridge, with the host as its router. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import type Docker from "dockerode";
import { Cloud, LABEL, brand, bridgeOf, bridgePrefix, nameOf, ownerLabels } from "../names";
import { run } from "../../lib/run";
import { gatewayOf, resolverOf } from "./addresses";
import { Context, log } from "./context";
import { Vpc } from "./model";
import { gatewayPort } from "./gateway";
import { ignoreMissing } from "./instances";
import { acceptForwarding } from "./forwarding";
import type { Service } from "./settings";
import { applyRoutes, removeRoutes } from "./routes";

/** The engine's network for a VPC. */
export function vpcNetwork(cloud: Cloud, vpc: Vpc, mtu: number): Docker.NetworkCreateOptions {
  return {
    Name: nameOf(cloud, "vpc", vpc.id),
    Driver: "bridge",
    CheckDuplicate: true,
    IPAM: { Driver: "default", Config: [{ Subnet: vpc.cidr, Gateway: gatewayOf(vpc.cidr) }] },
    Options: {
      "com.docker.network.bridge.name": bridgeOf(cloud, vpc.id),
      "com.docker.network.driver.mtu": String(mtu),
    },
    Labels: { ...ownerLabels(cloud), [LABEL.vpc]: vpc.id, [LABEL.region]: vpc.region },
  };
}

/** Blocks that are not routed on the internet (RFC 1918, RFC 6598, RFC 3927), which an internet gateway drops. */
const PRIVATE = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16"];

/**
 * The host's rules for the cloud's bridges. From a VPC only public addresses can be reached, not other VPCs or the
 * networks around the host, but the VPC's resolver may query the host's resolvers wherever they are. Nothing but the host
 * can reach into a VPC. On the host, only the gateway's web server can be reached, and pinged, at the VPC's own gateway address;
 * the host's other services are closed to machines and pods, over IPv6 too. The host sends no ICMP redirects to machines.
 * Packets that leave a VPC get an address of the host.
 *
 * @param alsoReachable services that every VPC may reach all the same, such as a mirror on the host or beside it
 */
export function renderHostRuleset(
  cloud: Cloud,
  vpcs: readonly Pick<Vpc, "id" | "cidr">[],
  alsoReachable: readonly Service[] = [],
): string {
  const table = hostTable(cloud);
  const sorted = [...vpcs].sort((a, b) => a.id.localeCompare(b.id));
  const exceptions = [
    ...new Set(alsoReachable.map(({ address, port }) => `ip daddr ${address} tcp dport ${port} accept`)),
  ];
  const forward = sorted.flatMap(({ id, cidr }) => {
    const out = `iifname "${bridgeOf(cloud, id)}" oifname != "${bridgeOf(cloud, id)}"`;
    return [
      `${out} ip saddr ${resolverOf(cidr)} th dport 53 accept`,
      ...exceptions.map((exception) => `${out} ${exception}`),
      `${out} ip daddr { ${PRIVATE.join(", ")} } ct direction original drop`,
      `iifname != "${bridgeOf(cloud, id)}" oifname "${bridgeOf(cloud, id)}" ct direction original drop`,
    ];
  });
  const postrouting = sorted.map(({ id, cidr }) => `ip saddr ${cidr} oifname != "${bridgeOf(cloud, id)}" masquerade`);
  const input = sorted.flatMap(({ id, cidr }) => {
    const gateway = `iifname "${bridgeOf(cloud, id)}" ip daddr ${gatewayOf(cidr)}`;
    return [
      `${gateway} tcp dport ${gatewayPort} accept`,
      `${gateway} icmp type echo-request accept`,
      ...exceptions.map((exception) => `iifname "${bridgeOf(cloud, id)}" ${exception}`),
      `iifname "${bridgeOf(cloud, id)}" ct direction original ct state != related drop`,
    ];
  });
  const indent = (lines: readonly string[]): string => lines.map((line) => `    ${line}\n`).join("");
  return `table inet ${table}
delete table inet ${table}
table inet ${table} {
  chain forward {
    type filter hook forward priority -10; policy accept;
${indent(forward)}  }
  chain input {
    type filter hook input priority -10; policy accept;
${indent(input)}  }
  chain output {
    type filter hook output priority 0; policy accept;
    oifname "${bridgePrefix(cloud)}*" icmp type redirect drop
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
${indent(postrouting)}  }
}
`;
}

/** Name of the host's nftables table for the cloud. */
export function hostTable(cloud: Cloud): string {
  return `${brand.identifier}_${cloud.name.replace(/-/g, "_")}`;
}

/** The VPCs of the cloud. */
export class Vpcs {
  private hostRules = "";

  constructor(private readonly context: Context) {}

  /** Creates missing networks, updates rules and routes, and removes networks that are no longer wanted. */
  async reconcile(vpcs: readonly Vpc[]): Promise<void> {
    const { docker, cloud } = this.context;
    const networks = await docker.listNetworks({ filters: { label: [`${LABEL.cloud}=${cloud.name}`] } });
    const present = new Set(networks.map((network) => network.Labels?.[LABEL.vpc]));
    for (const vpc of vpcs.filter(({ id }) => !present.has(id))) {
      await docker.createNetwork(vpcNetwork(cloud, vpc, uplinkMtu()));
      log(`VPC ${vpc.id}: network ${vpc.cidr} on bridge ${bridgeOf(cloud, vpc.id)}`);
    }
    await this.applyHostRules(vpcs);
    for (const vpc of vpcs) {
      this.relaxReversePath(bridgeOf(cloud, vpc.id));
      await applyRoutes(vpc.id, bridgeOf(cloud, vpc.id), vpc.routes);
    }
    const wanted = new Set(vpcs.map(({ id }) => id));
    for (const network of networks.filter((network) => !wanted.has(network.Labels?.[LABEL.vpc] ?? ""))) {
      if (await this.hasMachines(network)) continue; // also one that is shut down could not start again without it
      if (await removeVpc(docker, network)) log(`VPC ${network.Labels?.[LABEL.vpc]}: removed`);
    }
  }

  private async hasMachines(network: Docker.NetworkInspectInfo): Promise<boolean> {
    const { docker, cloud } = this.context;
    const vpc = network.Labels?.[LABEL.vpc] ?? "";
    const label = [`${LABEL.cloud}=${cloud.name}`, `${LABEL.kind}=machine`, `${LABEL.vpc}=${vpc}`];
    return (await docker.listContainers({ all: true, filters: { label } })).length > 0;
  }

  private async applyHostRules(vpcs: readonly Vpc[]): Promise<void> {
    const { cloud, ownEngine, alsoReachable = {} } = this.context;
    const rules = renderHostRuleset(cloud, vpcs, Object.values(alsoReachable).flat());
    if (rules === this.hostRules) return;
    await run("nft", ["-f", "-"], { input: rules });
    if (ownEngine) await acceptForwarding(cloud);
    this.hostRules = rules;
  }

  /**
   * Turns off strict reverse path filtering: packets may come from blocks that only the VPC's table routes to an
   * instance, and that the host's main table does not know.
   */
  private relaxReversePath(bridge: string): void {
    const conf = (name: string): string => `/proc/sys/net/ipv4/conf/${name}/rp_filter`;
    // The kernel uses the larger of the values for "all" and for the interface: 0 is off, 1 strict, 2 loose.
    const relaxed = readFileSync(conf("all"), "utf8").trim() === "0" ? "0" : "2";
    if (existsSync(conf(bridge)) && readFileSync(conf(bridge), "utf8").trim() !== relaxed)
      writeFileSync(conf(bridge), relaxed);
  }
}

/** Removes a VPC's network unless a machine is still in it. Returns whether it was removed. */
export async function removeVpc(docker: Docker, network: Docker.NetworkInspectInfo): Promise<boolean> {
  const { Containers } = (await docker.getNetwork(network.Id).inspect()) as Docker.NetworkInspectInfo;
  if (Object.keys(Containers ?? {}).length > 0) return false; // machines in it are still being removed
  await ignoreMissing(docker.getNetwork(network.Id).remove());
  await removeRoutes(network.Labels?.[LABEL.vpc] ?? "");
  return true;
}

/** The smallest MTU of the host's physical interfaces, at most 1500, so that packets fit through each of them. */
function uplinkMtu(): number {
  const own = Object.keys(networkInterfaces()).filter((name) => existsSync(`/sys/class/net/${name}/device`));
  return Math.min(1500, ...own.map((name) => Number(readFileSync(`/sys/class/net/${name}/mtu`, "utf8"))));
}
