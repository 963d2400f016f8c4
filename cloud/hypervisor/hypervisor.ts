import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type Docker from "dockerode";
import { LABEL } from "../names";
import { resolverOf } from "./addresses";
import { Context, log, statusCode } from "./context";
import { Changes, Desired, Instance } from "./desired";
import { Machines, loadRuleset } from "./instances";
import { membersOf, renderRuleset } from "./security-groups";
import { Vpcs } from "./vpc";

/** At most this long (milliseconds) until a change that nobody announced is seen: a container that died. */
const LOOK_EVERY = 1_000;

/** Makes the API's state true, again and again: what it does depends on what there is, not on what it did before. */
export class Hypervisor {
  private desired: Desired = { vpcs: [], instances: [], groups: [] };
  private changes: Changes = { generation: 0, regions: [], boots: {} };
  private readonly vpcs: Vpcs;
  private readonly machines: Machines;
  /** The ruleset that was last loaded, by network namespace. */
  private readonly rulesets = new Map<string, string>();
  private woken = (): void => undefined;
  private pending = true;

  constructor(private readonly context: Context) {
    this.vpcs = new Vpcs(context);
    this.machines = new Machines(
      context,
      (instance, container) => this.protect(instance, container),
      () => this.wake(),
    );
  }

  async run(): Promise<never> {
    void this.listen();
    for (;;) {
      this.pending = false;
      try {
        await this.pass();
      } catch (error) {
        log(`pass failed, goes on: ${(error as Error).message}`);
        await sleep(500);
      }
      if (!this.pending) await Promise.race([new Promise<void>((done) => (this.woken = done)), sleep(LOOK_EVERY)]);
    }
  }

  private wake(): void {
    this.pending = true;
    this.woken();
  }

  /** Reads the API's state whenever it says that it changed. */
  private async listen(): Promise<never> {
    for (;;) {
      try {
        const changes = await this.context.api.changes(this.changes.generation);
        if (changes.generation !== this.changes.generation) {
          this.desired = await this.context.api.desired(changes);
          this.changes = changes;
          this.wake();
        }
      } catch (error) {
        log(`the EC2 API does not answer: ${(error as Error).message}`);
        await sleep(1_000);
      }
    }
  }

  private async pass(): Promise<void> {
    if (this.changes.generation === 0) return; // nothing known yet
    const { generation } = this.changes;
    const { instances, vpcs } = this.desired;
    const { docker, cloud } = this.context;
    await this.vpcs.reconcile(vpcs);
    const containers = await docker.listContainers({ all: true, filters: { label: [`${LABEL.cloud}=${cloud.name}`] } });
    const machines = containers.filter((container) => container.Labels[LABEL.kind] === "machine");
    const settled = await this.machines.reconcile(instances, vpcs, machines);
    await this.protectAll(machines);
    this.report(generation, settled);
  }

  /** Loads the security groups that changed into the machines that run. */
  private async protectAll(machines: readonly Docker.ContainerInfo[]): Promise<void> {
    const running = machines.filter((machine) => machine.State === "running");
    await Promise.all(
      running.map(async (machine) => {
        const instance = this.desired.instances.find(({ id }) => id === machine.Labels[LABEL.id]);
        if (!instance || instance.state === "terminated") return;
        try {
          await this.protect(instance, await this.context.docker.getContainer(machine.Id).inspect());
        } catch (error) {
          if (statusCode(error) !== 404) log(`${instance.name}: ${(error as Error).message}`);
        }
      }),
    );
  }

  private async protect(instance: Instance, container: Docker.ContainerInspectInfo): Promise<void> {
    const vpc = this.desired.vpcs.find(({ id }) => id === instance.vpcId);
    if (!vpc || !container.State.Running) return;
    const alive = this.desired.instances.filter(({ state }) => state !== "terminated");
    const members = membersOf(alive.map(({ groups, privateIp }) => ({ groups, addresses: [privateIp] })));
    const ruleset = renderRuleset(instance, this.desired.groups, members, resolverOf(vpc.cidr));
    const sandbox = container.NetworkSettings.SandboxKey;
    if (this.rulesets.get(sandbox) === ruleset) return;
    await loadRuleset(sandbox, ruleset);
    this.rulesets.set(sandbox, ruleset);
  }

  /** Says how far it is: what `status` and tests wait for. */
  private report(generation: number, settled: boolean): void {
    const file = join(this.context.cloud.stateDir, "hypervisor.json");
    writeFileSync(`${file}.new`, JSON.stringify({ generation, settled }), { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }
}
