/** Runs a container, called its machine, for each instance. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type Docker from "dockerode";
import type { EngineStart } from "../container-engine/clock";
import { LABEL, nameOf, ownerLabels } from "../names";
import { tryRun } from "../../lib/run";
import { Context, log, statusCode } from "./context";
import { type Made, MadeMachines } from "./machines";
import { Instance, Vpc } from "./model";
import { capabilitiesOf, limits, machineContainer, seed, type Size } from "./machine";

/** Exit codes of a machine that rebooted or powered off by itself: reboot(2) ends process 1 with SIGHUP or SIGINT. */
const EXIT_REBOOT = 129;
const EXIT_POWEROFF = 130;

/** What to do about one instance, given the API's state and its container's. */
export type Action =
  | "create"
  | "recreate"
  | "start"
  | "restart"
  | "stop"
  | "report-stopped"
  | "report-lost"
  | "set-aside"
  | "remove"
  | "nothing";

/** The state of a machine's container, as reported by the engine. */
export interface ContainerState {
  readonly status: "created" | "running" | "exited" | string;
  readonly exitCode: number;
  readonly startedAt: Date;
  readonly finishedAt: Date;
}

/**
 * Decides what to do. A machine that has died is not revived: as on AWS, it stays down while the API says "running",
 * until someone reboots it or stops and starts it. A machine that went down with the engine or the host is started
 * again.
 *
 * The API remembers terminated instances, so it does not know a machine only if its state is older than the machine: it
 * was damaged, or restored. Such a machine is shut down, because nothing protects it any more and its address is free to
 * the API, but what it has on its disk is kept until the cloud is taken down.
 *
 * A machine that was made and whose container is gone counts as dead, because the container may come back, as with an
 * engine that was started with other directories. When it is to boot again, it is reported as terminated. If its container
 * comes back after that, it is shut down and kept as well.
 * @param made what is known of the machine, if it has ever run.
 */
export function decide(
  wanted: Pick<Instance, "state" | "bootedAt"> | undefined,
  machine: ContainerState | undefined,
  engine: EngineStart,
  made?: Made,
): Action {
  if (!wanted || (wanted.state === "terminated" && made?.isLost))
    return machine?.status === "running" ? "set-aside" : "nothing";
  if (wanted.state === "terminated") return machine ? "remove" : "nothing";
  if (wanted.state === "stopped") return machine?.status === "running" ? "stop" : "nothing";
  if (!machine) {
    if (!made) return "create";
    return made.bootedAt < wanted.bootedAt ? "report-lost" : "nothing";
  }
  if (machine.status === "created") return "recreate"; // a hypervisor died after creating and before starting it
  if (machine.status === "running") return machine.startedAt < wanted.bootedAt ? "restart" : "nothing";
  if (machine.startedAt < wanted.bootedAt || endedWith(engine, machine)) return "start";
  if (machine.exitCode === EXIT_REBOOT) return "start";
  return machine.exitCode === EXIT_POWEROFF ? "report-stopped" : "nothing";
}

/**
 * Whether a machine went down with an earlier process of the engine, or with the host. An engine that was killed learns
 * only when it starts again that a machine has ended, and takes that for the time when it did. Engines that keep machines
 * running while they restart (live-restore) can have old machines that ended later by themselves.
 */
function endedWith({ startedAt, readyAt }: EngineStart, machine: ContainerState): boolean {
  return machine.startedAt < startedAt && machine.finishedAt <= readyAt;
}

/** The instances of the cloud, each with one container and one volume. */
export class Instances {
  /** Actions in progress, by instance id. Nothing else is done to an instance in the meantime. */
  private readonly busy = new Map<string, Promise<void>>();
  /** Ids of instances that should be running and whose machine is down. */
  readonly dead = new Set<string>();
  private readonly made: MadeMachines;
  private readonly capabilities = capabilitiesOf(readFileSync("/proc/self/status", "utf8"));

  constructor(
    private readonly context: Context,
    private readonly protect: (instance: Instance, container: Docker.ContainerInspectInfo) => Promise<void>,
    private readonly wake: () => void,
  ) {
    this.made = new MadeMachines(join(context.cloud.stateDir, "machines"));
  }

  /** Starts the necessary action for every instance. Returns true if none is necessary or in progress. */
  async reconcile(
    instances: readonly Instance[],
    vpcs: readonly Vpc[],
    present: readonly Docker.ContainerInfo[],
  ): Promise<boolean> {
    const wanted = new Map(instances.map((instance) => [instance.id, instance]));
    const containers = new Map(present.map((container) => [container.Labels[LABEL.id]!, container.Id]));
    const ids = new Set([...wanted.keys(), ...containers.keys()]);
    let settled = true;
    await Promise.all(
      [...ids].map(async (id) => {
        if (this.busy.has(id)) return void (settled = false);
        const action = await this.next(wanted.get(id), containers.get(id));
        if (action === "nothing") return;
        settled = false;
        const vpc = vpcs.find(({ id: vpcId }) => vpcId === wanted.get(id)?.vpcId);
        const task = this.carryOut(action, id, wanted.get(id), vpc, containers.get(id))
          .catch(async (error: unknown) => {
            log(
              `${wanted.get(id)?.name ?? id} (${id}): ${action} failed, will be retried: ${(error as Error).message.trim()}`,
            );
            await sleep(1_000);
          })
          .finally(() => (this.busy.delete(id), this.wake()));
        this.busy.set(id, task);
      }),
    );
    return settled;
  }

  private async next(wanted: Instance | undefined, containerId: string | undefined): Promise<Action> {
    const made = this.made.get(wanted?.id ?? "");
    if (!containerId) {
      if (wanted?.state === "terminated" && !made?.isLost) this.made.forget(wanted.id);
      const action = decide(wanted, undefined, this.context.engine.start(), made);
      this.died(wanted, wanted?.state === "running" && action === "nothing");
      return action;
    }
    try {
      const { State } = await this.context.docker.getContainer(containerId).inspect();
      const [startedAt, finishedAt] = [new Date(State.StartedAt), new Date(State.FinishedAt)];
      const machine = { status: State.Status, exitCode: State.ExitCode, startedAt, finishedAt };
      const action = decide(wanted, machine, this.context.engine.start(), made);
      this.died(wanted, wanted?.state === "running" && machine.status === "exited" && action === "nothing");
      // also one that was made by an earlier release, or by a hypervisor that ended before it could record it
      if (wanted?.state === "running" && machine.status === "running" && action === "nothing")
        this.made.record(wanted.id, { bootedAt: wanted.bootedAt, isLost: false });
      return action;
    } catch (error) {
      if (statusCode(error) === 404) return "nothing"; // removed in the meantime
      throw error;
    }
  }

  private died(instance: Instance | undefined, dead: boolean): void {
    if (!instance) return;
    if (dead) this.dead.add(instance.id);
    else this.dead.delete(instance.id);
  }

  private async carryOut(
    action: Action,
    id: string,
    instance: Instance | undefined,
    vpc: Vpc | undefined,
    containerId: string | undefined,
  ): Promise<void> {
    const started = Date.now();
    if (action === "remove") await this.remove(id, containerId!);
    else if (action === "report-stopped") {
      await this.context.api.stopped(instance!);
      await sleep(500); // time to read the new state; a second report would change nothing
    } else if (action === "report-lost") {
      log(`the container of ${instance!.name ?? id} is gone, and with it everything on its disk: its instance ends`);
      await this.context.api.lost(instance!);
      this.made.record(id, { bootedAt: instance!.bootedAt, isLost: true });
      await sleep(500);
    } else if (action === "stop") await this.stop(containerId!);
    else if (action === "set-aside") {
      log(`the EC2 API does not know the machine of ${id}: it is shut down, and its disk is kept`);
      await this.stop(containerId!);
    } else if (!vpc)
      return; // an instance in the default VPC, which has no network
    else {
      if (action === "recreate") await this.remove(id, containerId!);
      if (action === "restart") await this.stop(containerId!);
      const container =
        action === "create" || action === "recreate"
          ? await this.create(instance!, vpc)
          : await this.resized(this.context.docker.getContainer(containerId!), instance!);
      await container.start();
      this.made.record(id, { bootedAt: instance!.bootedAt, isLost: false });
      await this.protect(instance!, await container.inspect());
    }
    log(`${instance?.name ?? id} (${id}): ${action} took ${Date.now() - started} ms`);
  }

  private async create(instance: Instance, vpc: Vpc): Promise<Docker.Container> {
    const { cloud, docker, api, images, releasesDir, preload } = this.context;
    const [size, boot] = await Promise.all([this.size(instance), api.firstBoot(instance)]);
    const modules: Record<string, string> = existsSync("/lib/modules") ? { "/lib/modules": "/lib/modules" } : {};
    const releases = preload && releasesDir ? { [releasesDir]: "/opt/releases" } : {};
    await docker.createVolume({
      Name: nameOf(cloud, "var", instance.id),
      Labels: { ...ownerLabels(cloud), [LABEL.id]: instance.id },
    });
    const container = await docker.createContainer(
      machineContainer(instance, {
        cloud,
        vpc,
        network: nameOf(cloud, "vpc", vpc.id),
        image: images.machine,
        size,
        capabilities: this.capabilities,
        cgroupV1: !existsSync("/sys/fs/cgroup/cgroup.controllers"),
        readOnly: { ...modules, ...releases },
      }),
    );
    await container.putArchive(await seed(instance, boot.userData, boot.publicKey), { path: "/var/lib" });
    return container;
  }

  /** A machine that is about to start, with the size of its instance's type, which may be another one than before. */
  private async resized(container: Docker.Container, instance: Instance): Promise<Docker.Container> {
    const [size, { HostConfig }] = await Promise.all([this.size(instance), container.inspect()]);
    const wanted = limits(size);
    const same = HostConfig.NanoCpus === wanted.NanoCpus && HostConfig.Memory === wanted.Memory;
    if (!same) await container.update(wanted);
    return container;
  }

  /** Size of the instance's type, or of the host if that has less. */
  private async size(instance: Instance): Promise<Size> {
    const { api, docker } = this.context;
    const [{ cpus, memoryMiB }, host] = await Promise.all([
      api.size(instance),
      docker.info() as Promise<{ NCPU: number }>,
    ]);
    return { cpus: Math.min(cpus, host.NCPU), memoryMiB };
  }

  /** Shuts the machine down cleanly, or cuts its power after half a minute. */
  private async stop(containerId: string): Promise<void> {
    try {
      await this.context.docker.getContainer(containerId).stop({ t: 30 });
    } catch (error) {
      if (statusCode(error) !== 304) throw error; // 304: already stopped
    }
  }

  private async remove(id: string, containerId: string): Promise<void> {
    const { cloud, docker } = this.context;
    await ignoreMissing(docker.getContainer(containerId).remove({ force: true, v: true }));
    await ignoreMissing(docker.getVolume(nameOf(cloud, "var", id)).remove());
    this.made.forget(id);
  }
}

/** Loads a ruleset atomically into a network namespace, given the path that the engine reports for it. */
export async function loadRuleset(sandbox: string, ruleset: string): Promise<void> {
  const result = await tryRun("nsenter", [`--net=${sandbox}`, "nft", "-f", "-"], { input: ruleset });
  if (result.exitCode !== 0) throw new Error(`nft rejected a ruleset: ${result.all.trim()}`);
}

/** Waits for a removal, and accepts that the object may already be gone. */
export async function ignoreMissing(removal: Promise<unknown>): Promise<void> {
  try {
    await removal;
  } catch (error) {
    if (statusCode(error) !== 404) throw error;
  }
}
