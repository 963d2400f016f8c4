/** Starts machines that are stopped, or that have died while EC2 calls them running. */
import * as ec2 from "@aws-sdk/client-ec2";
import { setTimeout as sleep } from "node:timers/promises";
import { progress } from "../../lib/progress";
import { type Clients, describeInstances } from "./cloud";
import { remedy } from "./instance";

/** A machine of a stack. */
interface Machine {
  readonly name: string;
  /** Id of its instance. */
  readonly id: string;
}

const actions = {
  start: (client: ec2.EC2Client, id: string) => client.send(new ec2.StartInstancesCommand({ InstanceIds: [id] })),
  reboot: (client: ec2.EC2Client, id: string) => client.send(new ec2.RebootInstancesCommand({ InstanceIds: [id] })),
};

/** Starts the machines that are down and waits until EC2 reports nothing wrong with them, or that many seconds. */
export async function startMachines(clients: Clients, machines: readonly Machine[], seconds: number): Promise<void> {
  if ((await down(clients, machines)).length === 0) return;
  await progress("starting the machines that are down", () => start(clients, machines, seconds));
}

type Down = Machine & { readonly remedy: "start" | "reboot" | "wait" };

async function down(clients: Clients, machines: readonly Machine[]): Promise<Down[]> {
  const instances = await describeInstances(clients);
  return machines.flatMap((machine) => {
    const needed = remedy(instances.get(machine.id));
    return needed ? [{ ...machine, remedy: needed }] : [];
  });
}

/** Acts once on each machine: an instance that was rebooted may fail its status checks for some time. */
async function start(clients: Clients, machines: readonly Machine[], seconds: number): Promise<void> {
  const end = Date.now() + seconds * 1000;
  const done = new Set<string>();
  for (;;) {
    const waiting = await down(clients, machines);
    for (const { name, id, remedy: action } of waiting) {
      if (action === "wait" || done.has(id)) continue;
      console.log(action === "start" ? `  ${name} is stopped: starting it` : `  ${name} has died: rebooting it`);
      await actions[action](clients.ec2, id);
      done.add(id);
    }
    if (waiting.length === 0) return;
    if (Date.now() > end) {
      console.log(`  Not up after ${seconds} s: ${waiting.map(({ name }) => name).join(", ")}`);
      return;
    }
    await sleep(1000);
  }
}
