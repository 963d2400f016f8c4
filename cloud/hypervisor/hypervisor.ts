/** The hypervisor: a control loop that makes containers, networks and firewall rules match the API's state. */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type Docker from "dockerode";
import { LABEL } from "../names";
import { runningPid } from "../../lib/process";
import { resolverOf } from "./addresses";
import { Appliances } from "./appliance";
import { BalancerHealth, Balancers } from "./balancers";
import { Context, log, statusCode } from "./context";
import { Changes, Desired, Health, Vpc } from "./model";
import { renderNames, resolver, upstreamResolvers } from "./dns";
import { writeIfChanged } from "./files";
import { gateway, renderGateway } from "./gateway";
import { updateHostsFile } from "./hosts-file";
import { Instances, loadRuleset } from "./instances";
import { balancerNode, balancerHolder, balancerNames, balancerNodeId } from "./load-balancer";
import { Holder, allMembers, renderRuleset } from "./security-groups";
import { Vpcs } from "./vpc";

/** How often to check, in milliseconds, for changes that are not announced, such as a container that died. */
const CHECK_EVERY = 1_000;

/** Reconciles the host with the API's state, level-triggered: what it does depends on what exists, not on history. */
export class Hypervisor {
  private desired: Desired = { vpcs: [], instances: [], groups: [], balancers: [] };
  private changes: Changes = { process: 0, generation: 0, regions: [], boots: {}, addresses: {} };
  private readonly vpcs: Vpcs;
  private readonly instances: Instances;
  private readonly balancers: Balancers;
  private readonly appliances: Appliances;
  /** The ruleset last loaded into each network namespace. */
  private readonly rulesets = new Map<string, string>();
  private woken = (): void => undefined;
  private pending = true;
  /** Whether this process has found itself in the process record. */
  private recorded = false;
  /** The health last reported, as JSON. */
  private reported = "";

  constructor(private readonly context: Context) {
    this.vpcs = new Vpcs(context);
    this.balancers = new Balancers(context);
    this.appliances = new Appliances(context);
    this.instances = new Instances(
      context,
      (instance, container) => this.protect(instance, container),
      () => this.wake(),
    );
  }

  /** Runs until the process ends. */
  async run(): Promise<never> {
    void this.listen();
    for (;;) {
      this.pending = false;
      this.endIfReplaced();
      try {
        await this.pass();
      } catch (error) {
        log(`pass failed, will be retried: ${(error as Error).message}`);
        await sleep(500);
      }
      if (!this.pending) await Promise.race([new Promise<void>((done) => (this.woken = done)), sleep(CHECK_EVERY)]);
    }
  }

  /** Two hypervisors would undo each other's work, so the one that is not in the process record exits. */
  private endIfReplaced(): void {
    const { stateDir } = this.context.cloud;
    const pid = runningPid({ name: "hypervisor", directory: stateDir });
    if (pid === process.pid) this.recorded = true;
    // Until the parent process has written the record, it is missing or still names a process that has ended.
    else if (this.recorded || pid !== undefined) {
      log("another hypervisor has taken over, or the cloud is down: exiting");
      process.exit(0);
    }
  }

  private wake(): void {
    this.pending = true;
    this.woken();
  }

  /** Reads the API's state whenever it has changed. */
  private async listen(): Promise<never> {
    let failing = false;
    for (;;) {
      try {
        const changes = await this.context.api.changes(this.changes.generation);
        const restarted = changes.process !== this.changes.process;
        if (restarted) this.reported = ""; // the new API process has received no report yet
        if (restarted || changes.generation !== this.changes.generation) {
          this.desired = await this.context.api.desired(changes);
          this.changes = changes;
          this.wake();
        }
        if (failing) log("the EC2 API is reachable again");
        failing = false;
      } catch (error) {
        if (!failing) log(`the EC2 API cannot be reached: ${(error as Error).message}`);
        failing = true;
        await sleep(500);
      }
    }
  }

  private async pass(): Promise<void> {
    if (this.changes.generation === 0) return; // nothing is known yet
    const { generation } = this.changes;
    const { desired } = this;
    await this.vpcs.reconcile(desired.vpcs);
    const containers = await this.containers();
    const machines = containers.filter(({ Labels }) => Labels[LABEL.kind] === "machine");
    const [settled, health] = await Promise.all([
      this.instances.reconcile(desired.instances, desired.vpcs, machines),
      this.services(
        desired,
        containers.filter(({ Labels }) => Labels[LABEL.kind] !== "machine"),
      ),
    ]);
    await this.protectAll(await this.containers());
    await this.reportHealth({ targets: health.targets, impaired: [...this.instances.dead] });
    this.recordProgress(generation, settled);
  }

  /** Reconciles the resolver and gateway of every VPC, and the load balancers. */
  private async services(desired: Desired, present: readonly Docker.ContainerInfo[]): Promise<BalancerHealth> {
    const { cloud, releasesDir, registryDir } = this.context;
    await this.balancers.configure(desired, present);
    const directory = (vpc: Vpc, kind: string): string => join(cloud.stateDir, kind, vpc.id);
    const upstream = upstreamResolvers();
    for (const vpc of desired.vpcs) writeIfChanged(join(directory(vpc, "gateway"), "nginx.conf"), renderGateway(vpc));
    const health = await this.balancers.health(desired, present);
    const names = balancerNames(desired.balancers, health.nodes);
    for (const vpc of desired.vpcs)
      writeIfChanged(join(directory(vpc, "resolver"), "hosts", "names"), renderNames(names));
    await updateHostsFile(cloud.name, names); // on the host as well, because clients run there
    const wanted = [
      ...desired.vpcs.map((vpc) => resolver(vpc, directory(vpc, "resolver"), upstream)),
      ...desired.vpcs.map((vpc) => gateway(vpc, directory(vpc, "gateway"), releasesDir, registryDir)),
      ...desired.balancers.flatMap((balancer) =>
        balancer.nodes.map((node) =>
          balancerNode(balancer, node, this.balancers.directory(balancerNodeId(balancer, node))),
        ),
      ),
    ];
    await this.appliances.reconcile(wanted, present);
    return health;
  }

  private async reportHealth(health: Health): Promise<void> {
    const text = JSON.stringify(health);
    if (text === this.reported) return;
    await this.context.api.report(health);
    this.reported = text;
  }

  private containers(): Promise<Docker.ContainerInfo[]> {
    const filters = { label: [`${LABEL.cloud}=${this.context.cloud.name}`] };
    return this.context.docker.listContainers({ all: true, filters });
  }

  /** Brings the security groups of all running machines and load balancers up to date. */
  private async protectAll(containers: readonly Docker.ContainerInfo[]): Promise<void> {
    const { desired } = this;
    await Promise.all(
      containers
        .filter(({ State }) => State === "running")
        .map(async ({ Id, Labels }) => {
          const holder =
            Labels[LABEL.kind] === "machine"
              ? desired.instances.find(({ id, state }) => id === Labels[LABEL.id] && state !== "terminated")
              : balancerHolder(desired.balancers, Labels[LABEL.id]!);
          if (!holder) return;
          try {
            await this.protect(holder, await this.context.docker.getContainer(Id).inspect());
          } catch (error) {
            if (statusCode(error) !== 404) log(`${Labels[LABEL.id]}: ${(error as Error).message}`);
          }
        }),
    );
  }

  private async protect(holder: Holder, container: Docker.ContainerInspectInfo): Promise<void> {
    const vpc = this.desired.vpcs.find(({ id }) => id === holder.vpcId);
    if (!vpc || !container.State.Running) return;
    const ruleset = renderRuleset(holder, this.desired.groups, allMembers(this.desired), resolverOf(vpc.cidr));
    const sandbox = container.NetworkSettings.SandboxKey;
    if (this.rulesets.get(sandbox) === ruleset) return;
    await loadRuleset(sandbox, ruleset);
    this.rulesets.set(sandbox, ruleset);
  }

  /** Records how far the hypervisor has got, for isSettled. */
  private recordProgress(generation: number, settled: boolean): void {
    const file = join(this.context.cloud.stateDir, "hypervisor.json");
    writeIfChanged(file, JSON.stringify({ process: process.pid, generation, settled }), 0o600);
  }
}
