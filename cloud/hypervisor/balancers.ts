/** Configures the load balancer nodes and reads their health checks, through HAProxy's control socket. */
import { createConnection } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type Docker from "dockerode";
import { LABEL } from "../names";
import { Context, log } from "./context";
import { Desired, LoadBalancer } from "./model";
import { writeIfChanged } from "./files";
import { CONTROL_SOCKET, balancerNodeId, parseStat, renderBalancer } from "./load-balancer";

/** The results of the load balancers' health checks. */
export interface BalancerHealth {
  /** Target states as in DescribeTargetHealth, by target group and target. */
  readonly targets: Record<string, Record<string, string>>;
  /** Addresses of the nodes that have a healthy target. */
  readonly nodes: ReadonlySet<string>;
}

/** The load balancers of the cloud. */
export class Balancers {
  /** Per container, the servers that its previous HAProxy process found healthy. */
  private readonly trusted = new Map<string, Set<string>>();

  constructor(private readonly context: Context) {}

  /** Directory with a node's configuration. */
  directory(id: string): string {
    return join(this.context.cloud.stateDir, "balancers", id);
  }

  /** Writes the configuration of all nodes. Running nodes load it without dropping connections. */
  async configure(desired: Desired, running: readonly Docker.ContainerInfo[]): Promise<void> {
    for (const balancer of desired.balancers) {
      for (const node of balancer.nodes) {
        const id = balancerNodeId(balancer, node);
        if (!writeIfChanged(join(this.directory(id), "haproxy.cfg"), renderBalancer(balancer, node))) continue;
        const container = running.find(({ Labels, State }) => Labels[LABEL.id] === id && State === "running");
        if (container) await this.reload(container.Id);
        log(`load balancer ${balancer.name} at ${node.address}: configured`);
      }
    }
  }

  /** Reads the health checks. A target is healthy if any node can reach it, and a node if it can reach any target. */
  async health(desired: Desired, running: readonly Docker.ContainerInfo[]): Promise<BalancerHealth> {
    const targets: Record<string, Record<string, string>> = {};
    const nodes = new Set<string>();
    for (const balancer of desired.balancers) {
      for (const node of balancer.nodes) {
        const container = running.find(({ Labels }) => Labels[LABEL.id] === balancerNodeId(balancer, node));
        if (container?.State !== "running") continue;
        const servers = await this.distrust(container.Id).catch(() => []);
        merge(targets, balancer, servers);
        if (servers.some(({ state }) => state === "healthy")) nodes.add(node.address);
      }
    }
    return { targets, nodes };
  }

  /**
   * Marks unchecked servers as down, except those that the previous process had found healthy: a new HAProxy process
   * assumes that its servers are healthy until their first check.
   * @returns the servers' states.
   */
  private async distrust(containerId: string): Promise<ReturnType<typeof parseStat>> {
    const servers = await this.stat(containerId);
    const trusted = this.trusted.get(containerId);
    const unknown = servers.filter((server) => server.state === "initial" && !trusted?.has(name(server)));
    await this.control(
      containerId,
      unknown.map((server) => `set server ${name(server)} health down`),
    );
    return servers;
  }

  /** Makes HAProxy reload: on SIGUSR2 a new process takes over, and the old one exits after its last connection. */
  private async reload(containerId: string): Promise<void> {
    const servers = await this.stat(containerId);
    this.trusted.set(containerId, new Set(servers.filter(({ state }) => state === "healthy").map(name)));
    await this.context.docker.getContainer(containerId).kill({ signal: "SIGUSR2" });
    for (let look = 0; look < 40; look++) {
      await sleep(50);
      const now = await this.distrust(containerId).catch(() => []);
      if (now.some(({ state }) => state === "initial")) return; // the new process has responded
    }
  }

  private async stat(containerId: string): Promise<ReturnType<typeof parseStat>> {
    return parseStat(await this.control(containerId, ["show stat"]));
  }

  /** Sends commands to HAProxy's control socket, which is reached through /proc/<pid>/root, and returns its output. */
  private async control(containerId: string, commands: readonly string[]): Promise<string> {
    if (commands.length === 0) return "";
    const { State } = await this.context.docker.getContainer(containerId).inspect();
    return new Promise((done, fail) => {
      const socket = createConnection(`/proc/${State.Pid}/root${CONTROL_SOCKET}`);
      let output = "";
      socket.setTimeout(2_000, () => socket.destroy(new Error("HAProxy's control socket timed out")));
      socket.on("data", (data) => (output += data.toString()));
      socket.on("error", fail);
      socket.on("close", () => done(output));
      socket.end(`${commands.join(";")}\n`);
    });
  }
}

const name = (server: { backend: string; server: string }): string => `${server.backend}/${server.server}`;

function merge(health: BalancerHealth["targets"], balancer: LoadBalancer, servers: ReturnType<typeof parseStat>): void {
  for (const { port, targetGroup } of balancer.listeners) {
    const states = (health[targetGroup.arn] ??= {});
    for (const { backend, server, state } of servers) {
      if (backend === `${targetGroup.name}-${port}` && states[server] !== "healthy") states[server] = state;
    }
  }
}
