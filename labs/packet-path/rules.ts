/** Reads the endpoints back out of kube-proxy's rules, in both of its modes. Pure. */

/**
 * Where the rules send a connection to a Service address.
 * @param rules the output of `iptables-save -t nat` or of `nft list table ip kube-proxy`.
 * @returns endpoints as address:port, sorted; empty if no rule matches the Service.
 */
export function endpointsOf(rules: string, clusterIp: string, port: number): string[] {
  const found = rules.includes("-A KUBE-SERVICES")
    ? viaIptables(rules, clusterIp, port)
    : viaNftables(rules, clusterIp, port);
  return [...new Set(found)].sort();
}

/** KUBE-SERVICES -d <address> --dport <port> -j KUBE-SVC-x;  KUBE-SVC-x -j KUBE-SEP-y;  KUBE-SEP-y --to-destination <endpoint>. */
function viaIptables(rules: string, clusterIp: string, port: number): string[] {
  const lines = rules.split("\n");
  const target = (line: string): string => / -j (\S+)/.exec(line)?.[1] ?? "";
  return lines
    .filter(
      (line) =>
        line.startsWith("-A KUBE-SERVICES ") &&
        line.includes(`-d ${clusterIp}/32`) &&
        line.includes(`--dport ${port} `),
    )
    .flatMap((service) => lines.filter((line) => line.startsWith(`-A ${target(service)} `)).map(target))
    .filter((chain) => chain.startsWith("KUBE-SEP-"))
    .flatMap((chain) => lines.filter((line) => line.startsWith(`-A ${chain} `)))
    .flatMap((line) => /--to-destination (\S+)/.exec(line)?.[1] ?? []);
}

/**
 * map service-ips: address . tcp . port : goto service-x;  chain service-x: dnat at random to <endpoint> . <port>,
 * or, with session affinity, goto endpoint-y;  chain endpoint-y: dnat to <endpoint>.
 */
function viaNftables(rules: string, clusterIp: string, port: number): string[] {
  const service = new RegExp(`${clusterIp.replaceAll(".", "\\.")} \\. tcp \\. ${port} : goto (\\S+?)[,\\s}]`).exec(
    rules,
  )?.[1];
  if (!service) return [];
  const chain = chainOf(rules, service);
  const lots = /dnat ip to numgen random mod \d+ map \{([^}]*)\}/.exec(chain)?.[1] ?? "";
  return [
    ...[...lots.matchAll(/: (\S+) \. (\d+)/g)].map(([, address, port]) => `${address}:${port}`),
    ...[...chain.matchAll(/goto (endpoint-[^\s,}]+)/g)].flatMap(
      ([, endpoint]) => /dnat to (\S+)/.exec(chainOf(rules, endpoint!))?.[1] ?? [],
    ),
  ];
}

/** The body of a chain of an nftables listing. */
function chainOf(rules: string, name: string): string {
  const start = rules.indexOf(`chain ${name} {`);
  return start < 0 ? "" : rules.slice(start, rules.indexOf("\n\t}", start));
}
