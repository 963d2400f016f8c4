/** Name resolution: the resolver of each VPC, and the names that it knows. */
import { readFileSync } from "node:fs";
import { Appliance } from "./appliance";
import { privateDomain, resolverOf } from "./addresses";
import { Vpc } from "./model";

/** A name and the addresses that it resolves to. */
export interface Name {
  readonly name: string;
  readonly addresses: readonly string[];
}

/**
 * The resolver of a VPC. It resolves the private names of all addresses in the VPC and the names of load balancers. It
 * forwards other queries to the host's resolvers, or refuses them if there are none.
 *
 * @param directory host directory that contains hosts/names, see renderNames
 * @param upstream addresses of the host's resolvers that a container can reach
 */
export function resolver(vpc: Vpc, directory: string, upstream: readonly string[]): Appliance {
  return {
    kind: "resolver",
    id: vpc.id,
    vpcId: vpc.id,
    address: resolverOf(vpc.cidr),
    readOnly: { [directory]: "/etc/resolver" },
    command: [
      ...["dnsmasq", "--keep-in-foreground", "--user=root", "--log-facility=-", "--conf-file=/dev/null"],
      ...["--no-resolv", "--no-hosts", "--no-negcache", "--cache-size=1000", "--bind-interfaces", "--dns-loop-detect"],
      `--listen-address=${resolverOf(vpc.cidr)}`,
      `--synth-domain=${privateDomain(vpc.region)},${vpc.cidr},ip-`,
      `--local=/${privateDomain(vpc.region)}/`,
      // dnsmasq rereads files in this directory when they change (inotify), without a signal or a restart.
      "--hostsdir=/etc/resolver/hosts",
      ...upstream.map((address) => `--server=${address}`),
    ],
  };
}

/** Renders names in the format of /etc/hosts. */
export function renderNames(names: readonly Name[]): string {
  return names.flatMap(({ name, addresses }) => addresses.map((address) => `${address} ${name}\n`)).join("");
}

/**
 * The host's resolvers that a container can reach. That excludes a resolver on the host's loopback interface; if it is
 * systemd-resolved, the resolvers that it forwards to are returned instead.
 */
export function upstreamResolvers(): string[] {
  for (const file of ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"]) {
    const servers = parseResolvers(readText(file));
    if (servers.length > 0) return servers;
  }
  return [];
}

/** The IPv4 name servers in a resolv.conf, except those on the loopback interface. */
export function parseResolvers(text: string): string[] {
  const servers = [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].map(([, address]) => address!);
  return servers.filter((address) => /^\d+(\.\d+){3}$/.test(address) && !address.startsWith("127."));
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
