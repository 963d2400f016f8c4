/** The machines of a running cloud: how to list and find them, and the faults that can be inflicted on them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  CreateSecurityGroupCommand,
  AuthorizeSecurityGroupIngressCommand,
  CreateTagsCommand,
  DeleteSecurityGroupCommand,
  DeleteTagsCommand,
  DescribeSecurityGroupsCommand,
  ModifyInstanceAttributeCommand,
  RebootInstancesCommand,
  RevokeSecurityGroupEgressCommand,
  StartInstancesCommand,
  StopInstancesCommand,
  TerminateInstancesCommand,
} from "@aws-sdk/client-ec2";
import type Docker from "dockerode";
import { apiEndpoint } from "./ec2-api";
import { Api } from "./hypervisor/desired";
import { Instance } from "./hypervisor/model";
import { UserError } from "../lib/errors";
import { Cloud, LABEL } from "./names";
import { waitFor } from "../lib/process";

/** An instance together with the container that runs it. */
export interface Machine extends Instance {
  /** The value of the tag "stack", which distinguishes machines with the same name. */
  readonly stack: string | undefined;
  readonly container: Docker.ContainerInfo | undefined;
}

/** All machines except terminated ones. */
export async function listMachines(cloud: Cloud, docker: Docker): Promise<Machine[]> {
  const api = new Api(apiEndpoint(cloud));
  const filters = { label: [`${LABEL.cloud}=${cloud.name}`, `${LABEL.kind}=machine`] };
  const [{ instances }, containers] = await Promise.all([
    api.changes(0).then((changes) => api.desired(changes)),
    docker.listContainers({ all: true, filters }),
  ]);
  const alive = instances.filter(({ state }) => state !== "terminated");
  return alive.map((instance) => ({
    ...instance,
    stack: instance.tags["stack"],
    container: containers.find(({ Labels }) => Labels[LABEL.id] === instance.id),
  }));
}

/** Names of the containers of machines that the API does not know, because its state is older than they are. */
export async function unknownMachines(cloud: Cloud, docker: Docker): Promise<string[]> {
  const api = new Api(apiEndpoint(cloud));
  const filters = { label: [`${LABEL.cloud}=${cloud.name}`, `${LABEL.kind}=machine`] };
  const containers = await docker.listContainers({ all: true, filters }); // before the API, which learns of each first
  const { instances } = await api.desired(await api.changes(0));
  const known = new Set(instances.map(({ id }) => id));
  return containers.filter(({ Labels }) => !known.has(Labels[LABEL.id]!)).map(({ Names }) => Names[0]!.slice(1));
}

/**
 * Finds the machine that a person means, by its name, the end of its name, its instance id or its private address.
 * @throws UserError unless exactly one machine matches.
 */
export function findMachine(machines: readonly Machine[], wanted: string, stack: string | undefined): Machine {
  const candidates = machines.filter((machine) => stack === undefined || machine.stack === stack);
  const exact = candidates.filter(({ name, id, privateIp }) => [name, id, privateIp].includes(wanted));
  const found = exact.length > 0 ? exact : candidates.filter(({ name }) => name.endsWith(`-${wanted}`));
  if (found.length === 1) return found[0]!;
  const names = (list: readonly Machine[]): string =>
    list
      .map((machine) => `${machine.name} (${machine.id}${machine.stack ? `, stack ${machine.stack}` : ""})`)
      .join(", ") || "none";
  if (found.length > 1) {
    throw new UserError(
      `"${wanted}" matches several machines: ${names(found)}.`,
      "Add --stack, or use the instance id.",
    );
  }
  throw new UserError(`There is no machine "${wanted}".`, `Machines: ${names(machines)}.`);
}

/** Whether the hypervisor has caught up with the API's current state. */
export async function isSettled(cloud: Cloud): Promise<boolean> {
  const progress = readProgress(cloud);
  return (
    progress?.settled === true && progress.generation === (await new Api(apiEndpoint(cloud)).changes(0)).generation
  );
}

/** Whether that hypervisor process has looked at every machine and reported its health. */
export const hasLooked = (cloud: Cloud, pid: number): boolean => readProgress(cloud)?.process === pid;

/** How far the hypervisor has got; undefined if it has not said so, or if a power cut left less than that on disk. */
function readProgress(cloud: Cloud): { process?: number; generation: number; settled: boolean } | undefined {
  try {
    return JSON.parse(readFileSync(join(cloud.stateDir, "hypervisor.json"), "utf8")) as never;
  } catch {
    return undefined;
  }
}

/** Inflicts faults on machines, and ends them. */
export class Faults {
  private readonly api: Api;

  constructor(
    private readonly cloud: Cloud,
    private readonly docker: Docker,
  ) {
    this.api = new Api(apiEndpoint(cloud));
  }

  /** Cuts the power: the machine goes down at once and stays down until it is started. The API still says "running". */
  async kill(machine: Machine): Promise<void> {
    if (machine.container?.State !== "running") throw new UserError(`${machine.name} is already down.`);
    await this.docker.getContainer(machine.container.Id).kill();
  }

  /** Starts a machine that was stopped or has died, with its disk as it was. */
  async start(machine: Machine): Promise<void> {
    const InstanceIds = [machine.id];
    if (machine.state === "stopped") await this.client(machine).send(new StartInstancesCommand({ InstanceIds }));
    else if (machine.container?.State === "running") return;
    else await this.client(machine).send(new RebootInstancesCommand({ InstanceIds }));
    await this.bootedAfter(machine);
  }

  /** Shuts the machine down. */
  async stop(machine: Machine): Promise<void> {
    await this.client(machine).send(new StopInstancesCommand({ InstanceIds: [machine.id] }));
    await this.until(machine, (state) => !state.Running, "stop");
  }

  /** Shuts the machine down and starts it again. */
  async reboot(machine: Machine): Promise<void> {
    await this.client(machine).send(new RebootInstancesCommand({ InstanceIds: [machine.id] }));
    await this.bootedAfter(machine);
  }

  /** Destroys the machine and its disk. */
  async terminate(machine: Machine): Promise<void> {
    await this.client(machine).send(new TerminateInstancesCommand({ InstanceIds: [machine.id] }));
    await waitFor(async () => !(await this.inspect(machine)), 30_000);
  }

  /**
   * Cuts the machine off the network: replaces its security groups with one that admits SSH and nothing else, in or
   * out, and breaks its established connections, which a change of groups alone does not do (nor does it on AWS). The
   * replaced groups are recorded in a tag.
   */
  async partition(machine: Machine): Promise<void> {
    const client = this.client(machine);
    if (machine.tags[GROUPS_TAG]) return;
    const group = await client.send(
      new CreateSecurityGroupCommand({
        GroupName: isolation(machine),
        Description: "Isolates a machine",
        VpcId: machine.vpcId,
      }),
    );
    const GroupId = group.GroupId!;
    const ssh = { IpProtocol: "tcp", FromPort: 22, ToPort: 22, IpRanges: [{ CidrIp: "0.0.0.0/0" }] };
    await client.send(new AuthorizeSecurityGroupIngressCommand({ GroupId, IpPermissions: [ssh] }));
    const any = { IpProtocol: "-1", IpRanges: [{ CidrIp: "0.0.0.0/0" }] };
    await client.send(new RevokeSecurityGroupEgressCommand({ GroupId, IpPermissions: [any] }));
    const Tags = [{ Key: GROUPS_TAG, Value: machine.groups.join(" ") }];
    await client.send(new CreateTagsCommand({ Resources: [machine.id], Tags }));
    await client.send(new ModifyInstanceAttributeCommand({ InstanceId: machine.id, Groups: [GroupId] }));
    await this.settled();
    const forget = await this.docker.getContainer(machine.container?.Id ?? "").exec({ Cmd: ["conntrack", "-F"] });
    await forget.start({ Detach: true });
  }

  /** Ends a partition by restoring the machine's security groups. */
  async heal(machine: Machine): Promise<void> {
    const client = this.client(machine);
    const groups = machine.tags[GROUPS_TAG]?.split(" ");
    if (!groups) return;
    await client.send(new ModifyInstanceAttributeCommand({ InstanceId: machine.id, Groups: groups }));
    await client.send(new DeleteTagsCommand({ Resources: [machine.id], Tags: [{ Key: GROUPS_TAG }] }));
    const Filters = [{ Name: "group-name", Values: [isolation(machine)] }];
    const { SecurityGroups } = await client.send(new DescribeSecurityGroupsCommand({ Filters }));
    for (const { GroupId } of SecurityGroups ?? []) await client.send(new DeleteSecurityGroupCommand({ GroupId }));
    await this.settled();
  }

  private async settled(): Promise<void> {
    if (await waitFor(() => isSettled(this.cloud), 60_000)) return;
    throw new Error(`The hypervisor did not settle within a minute; see ${hypervisorLog(this.cloud)}.`);
  }

  private client(machine: Machine): ReturnType<Api["ec2"]> {
    return this.api.ec2(machine.region);
  }

  private async inspect(machine: Machine): Promise<Docker.ContainerInspectInfo["State"] | undefined> {
    try {
      return (await this.docker.getContainer(machine.container?.Id ?? "").inspect()).State;
    } catch {
      return undefined;
    }
  }

  /** Waits for the machine to boot. A boot before this call does not count. */
  private bootedAfter(machine: Machine): Promise<void> {
    const before = Date.now();
    return this.until(machine, (state) => state.Running && Date.parse(state.StartedAt) > before - 50, "start");
  }

  private async until(
    machine: Machine,
    condition: (state: Docker.ContainerInspectInfo["State"]) => boolean,
    what: string,
  ): Promise<void> {
    const done = await waitFor(async () => {
      const state = await this.inspect(machine);
      return state !== undefined && condition(state);
    }, 60_000);
    if (!done) throw new Error(`${machine.name} did not ${what} within a minute; see ${hypervisorLog(this.cloud)}.`);
  }
}

/** The tag that records the security groups of a partitioned machine. */
const GROUPS_TAG = "partitioned-from";
const isolation = (machine: Machine): string => `isolated-${machine.id}`;
const hypervisorLog = (cloud: Cloud): string => join(cloud.stateDir, "hypervisor.log");
