/** Security groups and the source/destination check, as nftables rules in a machine's network namespace. */
import { Desired, Rule, SecurityGroup } from "./model";

/** Name of the table in a machine's network namespace. */
export const TABLE = "security_groups";

/** Something with an interface in a VPC: an instance or a load balancer node. */
export interface Holder {
  readonly vpcId: string;
  readonly privateIp: string;
  /** Its security groups; "any" for a load balancer that was created without any, which admits everything. */
  readonly groups: readonly string[] | "any";
  readonly sourceDestCheck: boolean;
}

/**
 * The nftables ruleset of one machine or load balancer node.
 *
 * Ingress is filtered right after connection tracking and before destination NAT (priority -150), so that NAT rules on
 * the machine cannot open what no group has opened. Security groups are stateful, so replies to admitted packets pass.
 * Everything else on the VPC's interface is dropped. The machine's other interfaces are not filtered.
 *
 * @param members private addresses by security group
 * @param resolver address of the VPC's resolver, which may always be queried, as on AWS; link-local addresses are open too
 */
export function renderRuleset(
  holder: Omit<Holder, "vpcId">,
  groups: readonly SecurityGroup[],
  members: ReadonlyMap<string, readonly string[]>,
  resolver: string,
): string {
  const open = holder.groups === "any";
  const own = groups.filter((group) => holder.groups.includes(group.id)).sort((a, b) => a.id.localeCompare(b.id));
  const ingress = own.flatMap((group) => section(group, group.ingress, "saddr", members));
  const egress = own.flatMap((group) => section(group, group.egress, "daddr", members));
  const check = holder.sourceDestCheck;
  return `table inet ${TABLE}
delete table inet ${TABLE}
table inet ${TABLE} {
  chain ingress {
    type filter hook prerouting priority -150; policy accept;
    iifname != "eth0" accept
${check ? `    ip daddr != ${holder.privateIp} drop comment "source/destination check"\n` : ""}\
    ct state established,related accept
${indent(ingress)}    ${open ? "accept" : "drop"}
  }
  chain egress {
    type filter hook postrouting priority 150; policy accept;
    oifname != "eth0" accept
${check ? `    ip saddr != ${holder.privateIp} drop comment "source/destination check"\n` : ""}\
    ct state established,related accept
    ip daddr ${resolver} meta l4proto { tcp, udp } th dport 53 accept
    ip daddr 169.254.0.0/16 accept
${indent(egress)}    ${open ? "accept" : "drop"}
  }
}
`;
}

/** Private addresses by security group, of instances that are not terminated and of load balancer nodes. */
export function allMembers(desired: Pick<Desired, "instances" | "balancers">): Map<string, string[]> {
  const holders = [
    ...desired.instances
      .filter(({ state }) => state !== "terminated")
      .map((i) => ({ groups: i.groups, addresses: [i.privateIp] })),
    ...desired.balancers.map(({ groups, nodes }) => ({ groups, addresses: nodes.map(({ address }) => address) })),
  ];
  const members = new Map<string, string[]>();
  for (const { groups, addresses } of holders) {
    for (const group of groups) members.set(group, [...(members.get(group) ?? []), ...addresses]);
  }
  return members;
}

function section(
  group: SecurityGroup,
  rules: readonly Rule[],
  side: "saddr" | "daddr",
  members: ReadonlyMap<string, readonly string[]>,
): string[] {
  const lines = rules.flatMap((rule) => {
    const peers = [...rule.cidrs, ...rule.groups.flatMap((id) => members.get(id) ?? [])];
    return matches(peers, side).map((match) => `${match}${traffic(rule)}accept`);
  });
  return lines.length > 0 ? [`# ${group.id} ${group.name.replace(/[^ -~]/g, "?")}`, ...[...new Set(lines)].sort()] : [];
}

/** Addresses share one set. Blocks get a line each, because a set must not contain overlapping blocks. */
function matches(peers: readonly string[], side: string): string[] {
  if (peers.includes("0.0.0.0/0")) return ["meta nfproto ipv4 "];
  const unique = [...new Set(peers.map((cidr) => cidr.replace(/\/32$/, "")))].sort();
  const addresses = unique.filter((cidr) => !cidr.includes("/"));
  const blocks = unique.filter((cidr) => cidr.includes("/")).map((cidr) => `ip ${side} ${cidr} `);
  return addresses.length > 0 ? [`ip ${side} { ${addresses.join(", ")} } `, ...blocks] : blocks;
}

/** Matches a rule's protocol and ports. For ICMP the ports are type and code; -1 means any. */
function traffic(rule: Rule): string {
  const { protocol, fromPort = -1, toPort = -1 } = rule;
  if (protocol === "-1") return "";
  if (protocol === "icmp" || protocol === "1") {
    return fromPort === -1
      ? "meta l4proto icmp "
      : `icmp type ${fromPort} ${toPort === -1 ? "" : `icmp code ${toPort} `}`;
  }
  const name = { "6": "tcp", "17": "udp" }[protocol] ?? protocol;
  if ((name !== "tcp" && name !== "udp") || fromPort === -1) return `meta l4proto ${name} `;
  return `${name} dport ${fromPort === toPort ? fromPort : `${fromPort}-${toPort}`} `;
}

function indent(lines: readonly string[]): string {
  return lines.map((line) => `    ${line}\n`).join("");
}
