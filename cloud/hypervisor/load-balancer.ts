/** Load balancer nodes: their containers, names and HAProxy configuration, and HAProxy's statistics. */
import { Appliance } from "./appliance";
import { BalancerNode, HealthCheck, LoadBalancer, TargetGroup } from "./model";
import { Name } from "./dns";
import { Holder } from "./security-groups";

/**
 * One node of a network load balancer: HAProxy at the node's address in its subnet. Targets see the node's address, not
 * the client's (preserve_client_ip is off).
 *
 * @param directory host directory that contains haproxy.cfg, see renderBalancer
 */
export function balancerNode(balancer: LoadBalancer, node: BalancerNode, directory: string): Appliance {
  // As on machines, the security groups come first. The hypervisor loads them from outside.
  const wait = "until nft list table inet security_groups >/dev/null 2>&1; do sleep 0.05; done";
  return {
    kind: "balancer",
    id: balancerNodeId(balancer, node),
    vpcId: balancer.vpcId,
    address: node.address,
    readOnly: { [directory]: "/etc/balancer" },
    command: ["sh", "-c", `${wait}; exec haproxy -W -db -f /etc/balancer/haproxy.cfg`],
  };
}

/** Id of a node: the load balancer's id, which is the end of its ARN, and the subnet's. */
export function balancerNodeId(balancer: LoadBalancer, node: BalancerNode): string {
  return `${balancer.arn.split("/").at(-1)}-${node.subnetId.replace("subnet-", "")}`;
}

/** The node with this id, in the form to which security groups are applied. */
export function balancerHolder(balancers: readonly LoadBalancer[], id: string): Holder | undefined {
  for (const balancer of balancers) {
    const node = balancer.nodes.find((candidate) => balancerNodeId(balancer, candidate) === id);
    const groups = balancer.groups.length > 0 ? balancer.groups : "any";
    if (node) return { vpcId: balancer.vpcId, privateIp: node.address, groups, sourceDestCheck: true };
  }
  return undefined;
}

/** The load balancers' names, with the addresses of their healthy nodes, or of all nodes if none is healthy. */
export function balancerNames(balancers: readonly LoadBalancer[], healthy: ReadonlySet<string>): Name[] {
  return balancers.map(({ dnsName, nodes }) => {
    const addresses = nodes.map(({ address }) => address);
    const good = addresses.filter((address) => healthy.has(address));
    return { name: dnsName, addresses: good.length > 0 ? good : addresses };
  });
}

/** Path of HAProxy's control socket in the container. */
export const CONTROL_SOCKET = "/run/haproxy.sock";

/**
 * HAProxy's configuration for one node. Failures are detected at the pace that the target group's health check sets, as
 * on AWS. Unlike on AWS, unhealthy targets are checked every second, and a single good check makes them healthy again.
 */
export function renderBalancer(balancer: LoadBalancer, node: BalancerNode): string {
  const listeners = [...balancer.listeners].sort((a, b) => a.port - b.port);
  return `global
  log stdout format raw local0 notice
  stats socket ${CONTROL_SOCKET} mode 600 level admin
  maxconn 4000
  hard-stop-after 350s
defaults
  mode tcp
  timeout connect 5s
  # A network load balancer forgets a connection that was idle for 350 seconds.
  timeout client 350s
  timeout server 350s
  retries 0
${listeners
  .map(
    ({ port, targetGroup }) => `frontend listener-${port}
  bind ${node.address}:${port}
  default_backend ${targetGroup.name}-${port}
backend ${targetGroup.name}-${port}
  balance roundrobin
${renderCheck(targetGroup.healthCheck)}${renderServers(balancer, node, targetGroup)}`,
  )
  .join("")}`;
}

function renderCheck(check: HealthCheck): string {
  const timeout = `  timeout check ${check.timeout}s\n`;
  if (check.protocol === "TCP") return timeout;
  return `${timeout}  option httpchk GET ${check.path}
  http-check expect status ${check.matcher}
`;
}

function renderServers(balancer: LoadBalancer, node: BalancerNode, group: TargetGroup): string {
  const { healthCheck: check } = group;
  const options = [
    ...(check.port === "traffic-port" ? [] : [`port ${check.port}`]),
    ...(check.protocol === "HTTPS" ? ["check-ssl verify none"] : []),
    `inter ${check.interval}s downinter 1s fall ${check.unhealthy} rise 1`,
    "on-marked-down shutdown-sessions",
  ].join(" ");
  return group.targets
    .filter(({ zone }) => balancer.crossZone || zone === undefined || zone === node.zone)
    .map(({ id, address, port }) => `  server ${id} ${address}:${port} check ${options}\n`)
    .join("");
}

/** Parses the CSV output of HAProxy's "show stat". A server is in state "initial" until its first check. */
export function parseStat(
  csv: string,
): { backend: string; server: string; state: "healthy" | "unhealthy" | "initial" }[] {
  const [header = "", ...rows] = csv.replace(/^# /, "").trim().split("\n");
  const names = header.split(",");
  const column = (row: string[], name: string): string => row[names.indexOf(name)] ?? "";
  return rows
    .map((row) => row.split(","))
    .filter((row) => !["FRONTEND", "BACKEND"].includes(column(row, "svname")) && column(row, "svname") !== "")
    .map((row) => {
      const initial = column(row, "check_status") === "INI" || column(row, "check_status") === "";
      const up = column(row, "status").startsWith("UP");
      const state = initial ? "initial" : up ? "healthy" : "unhealthy";
      return { backend: column(row, "pxname"), server: column(row, "svname"), state };
    });
}
