import { createConnection } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type Docker from "dockerode";
import { LABEL } from "../names";
import { Context, log } from "./context";
import { Desired, LoadBalancer } from "./model";
import { writeIfChanged } from "./files";
import { CONTROL_SOCKET, balancerNodeId, parseStat, renderBalancer } from "./load-balancer";

/** What the balancers' health checks found. */
export interface BalancerHealth {
  /** State of targets as DescribeTargetHealth has it, by target group and target. */
  readonly targets: Record<string, Record<string, string>>;
  /** Addresses of nodes that have a healthy target. */
  readonly nodes: ReadonlySet<string>;
}

/** Keeps the balancers' configuration and reads their health checks. */
export class Balancers {
  /** Servers that an earlier HAProxy process of the container saw healthy. */
  private readonly trusted = new Map<string, Set<string>>();

  constructor(private readonly context: Context) {}

  /** Directory of a node's configuration. */
  directory(id: string): string {
    return join(this.context.cloud.stateDir, "balancers", id);
  }

  /** Writes the configuration of all nodes; a node that runs takes it up without dropping connections. */
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

  /** What the nodes' checks say. A target is healthy if one node can reach it, a node if it reaches one target. */
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
   * A new HAProxy process takes its servers for healthy until their first check. They are set down instead, but for those
   * that the process before it had seen healthy.
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

  /** HAProxy takes a new configuration on SIGUSR2: a new process listens, the old one ends with its connections. */
  private async reload(containerId: string): Promise<void> {
    const servers = await this.stat(containerId);
    this.trusted.set(containerId, new Set(servers.filter(({ state }) => state === "healthy").map(name)));
    await this.context.docker.getContainer(containerId).kill({ signal: "SIGUSR2" });
    for (let look = 0; look < 40; look++) {
      await sleep(50);
      const now = await this.distrust(containerId).catch(() => []);
      if (now.some(({ state }) => state === "initial")) return; // the new process answers
    }
  }

  private async stat(containerId: string): Promise<ReturnType<typeof parseStat>> {
    return parseStat(await this.control(containerId, ["show stat"]));
  }

  /** Says something to HAProxy through its control socket, reached through the process's own view of the file system. */
  private async control(containerId: string, commands: readonly string[]): Promise<string> {
    if (commands.length === 0) return "";
    const { State } = await this.context.docker.getContainer(containerId).inspect();
    return new Promise((done, fail) => {
      const socket = createConnection(`/proc/${State.Pid}/root${CONTROL_SOCKET}`);
      let answer = "";
      socket.setTimeout(2_000, () => socket.destroy(new Error("HAProxy does not answer")));
      socket.on("data", (data) => (answer += data.toString()));
      socket.on("error", fail);
      socket.on("close", () => done(answer));
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
