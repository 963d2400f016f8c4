import { readFileSync } from "node:fs";
import { brand } from "../names";
import { Appliance } from "./appliance";
import { privateDomain, resolverOf } from "./addresses";
import { Vpc } from "./model";

/** A name and the addresses that it stands for. */
export interface Name {
  readonly name: string;
  readonly addresses: readonly string[];
}

/**
 * The resolver of a VPC, at the block's base plus two. It answers for the private names of all its addresses and for the
 * load balancers' names, asks the host's resolvers for the rest, and refuses where the host has none.
 *
 * @param directory directory of the host that holds the file "names", see renderNames
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
      // Read again whenever a file in it changes (inotify): no signal, no restart.
      "--hostsdir=/etc/resolver/hosts",
      ...upstream.map((address) => `--server=${address}`),
    ],
  };
}

/** Names in the form of /etc/hosts. */
export function renderNames(names: readonly Name[]): string {
  return names.flatMap(({ name, addresses }) => addresses.map((address) => `${address} ${name}\n`)).join("");
}

/**
 * The host's resolvers that a container can ask. One that listens on the host's loopback only cannot be asked; where that
 * is systemd-resolved, it says which ones it asks itself.
 */
export function upstreamResolvers(): string[] {
  for (const file of ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"]) {
    const servers = parseResolvers(readText(file));
    if (servers.length > 0) return servers;
  }
  return [];
}

/** The IPv4 name servers of a resolv.conf that are not the loopback's. */
export function parseResolvers(text: string): string[] {
  const servers = [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].map(([, address]) => address!);
  return servers.filter((address) => /^\d+(\.\d+){3}$/.test(address) && !address.startsWith("127."));
}

const BEGIN = (cloud: string): string => `# BEGIN ${brand.name} ${cloud}`;
const END = (cloud: string): string => `# END ${brand.name} ${cloud}`;

/** The host's /etc/hosts with the cloud's marked block replaced by these names; without a block if there are none. */
export function renderHostsFile(text: string, cloud: string, names: readonly Name[]): string {
  const lines = text.split("\n");
  const begin = lines.indexOf(BEGIN(cloud));
  const end = lines.indexOf(END(cloud));
  if (begin !== -1 && end > begin) lines.splice(begin, end - begin + 1);
  const rest = lines.join("\n").replace(/\n*$/, "\n");
  return names.length === 0 ? rest : `${rest}${BEGIN(cloud)}\n${renderNames(names)}${END(cloud)}\n`;
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
