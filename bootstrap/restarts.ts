/**
 * Restarts of machines that exist. The cluster is prepared before a machine goes down, and the next one goes down only
 * when it is back. The work is done by scripts/tools/restart.sh on another control-plane machine.
 */
import { setTimeout as sleep } from "node:timers/promises";
import * as pulumi from "@pulumi/pulumi";
import { type Machine, sshUser } from "../cluster/shape";
import type { MachineRestarts } from "../infra/machines";
import { quote } from "../lib/quote";
import { asset } from "./files";
import { libraryDirectory } from "./places";
import { withoutComments } from "./render";
import { Disconnected, type Host, Session } from "./session";

/** The cluster as the last update left it. */
export interface RunningCluster {
  readonly machines: readonly RunningNode[];
  /** The administrator's. */
  readonly kubeconfig: string;
  /** The private key that its user chose. */
  readonly sshPrivateKey: string;
  /** In the format of known_hosts(5), by machine. */
  readonly sshKnownHosts: string;
}

interface RunningNode {
  readonly name: string;
  readonly role: string;
  readonly privateIp: string;
  /** Address to dial for SSH. */
  readonly sshHost: string;
}

type Phase = "leave" | "return";

/** Seconds until a machine is given up that does not accept SSH: one that serves, and one that boots. */
const patience: Readonly<Record<Phase, number>> = { leave: 60, return: 600 };

export class Restarts implements MachineRestarts {
  private readonly sshHosts: Map<string, string>;
  private readonly hostKeys: ReadonlyMap<string, string>;
  private stackKey: Promise<string> | undefined;

  /** @param inTurn whether this update is known to restart machines. */
  constructor(
    private readonly cluster: RunningCluster,
    private readonly inTurn: boolean,
  ) {
    this.sshHosts = new Map(cluster.machines.map(({ name, sshHost }) => [name, sshHost]));
    this.hostKeys = new Map(
      cluster.sshKnownHosts.split("\n").map((line) => [line.split(" ", 1)[0] ?? "", line.replace(/^\S+ /, "")]),
    );
  }

  isInTurn({ name }: Machine): boolean {
    return this.inTurn && this.sshHosts.has(name);
  }

  isAt({ name }: Machine, sshHost: string): void {
    this.sshHosts.set(name, sshHost);
  }

  hooks(machine: Machine, stackKey: pulumi.Output<string>): NonNullable<pulumi.ResourceOptions["hooks"]> {
    if (!this.sshHosts.has(machine.name)) return {};
    this.stackKey = known(stackKey);
    let left: Session | undefined;
    let reported = "";
    return {
      beforeUpdate: [
        async (args) => {
          if (!restarts(args)) return;
          left = await this.leave(machine);
          reported = (await left?.until("left")) ?? "";
        },
      ],
      afterUpdate: [
        async (args) => {
          if (!restarts(args)) return;
          await this.return(machine, reported);
          left?.close();
        },
      ],
    };
  }

  /** Prepares the cluster. The session keeps it prepared. */
  private async leave(machine: Machine): Promise<Session | undefined> {
    if (machine.role === "balancer") return undefined;
    const others = this.others(machine);
    let session: Session;
    try {
      session = await this.start("leave", machine, "", others.length > 0 ? others : [machine.name]);
    } catch (error) {
      // the only control-plane machine is down, so nothing depends on it any more
      if (error instanceof Disconnected && others.length === 0) return undefined;
      throw error;
    }
    if ((await session.until("left")) === undefined) throw failure(machine, "does not restart", session);
    for (const line of session.lines)
      if (line.includes("warning: ")) await pulumi.log.warn(line.replace(/^.*warning: /, ""));
    return session;
  }

  private async return(machine: Machine, reported: string): Promise<void> {
    const others = this.others(machine);
    const end = Date.now() + patience.return * 1000;
    for (;;) {
      const session = await this.start("return", machine, reported, others.length > 0 ? others : [machine.name]);
      const code = await session.exitCode;
      if (code === 0) return;
      // a machine that still shuts down accepts SSH until it does
      if (code !== undefined || Date.now() > end) throw failure(machine, "has restarted, but is not back", session);
    }
  }

  private others({ name }: Machine): string[] {
    return this.controllers.filter((other) => other.name !== name).map((other) => other.name);
  }

  private get controllers(): readonly RunningNode[] {
    return this.cluster.machines.filter(({ role }) => role === "control-plane");
  }

  /** Runs a phase of a machine's restart on the first of the candidates that accepts SSH. */
  private async start(
    phase: Phase,
    machine: Machine,
    reported: string,
    candidates: readonly string[],
  ): Promise<Session> {
    // an earlier release's machines accept only the user's key, and the step `machine` may authorize another one meanwhile
    const privateKeys = [...(this.stackKey ? [await this.stackKey] : []), this.cluster.sshPrivateKey];
    const kubeconfig = Buffer.from(this.cluster.kubeconfig).toString("base64");
    const end = Date.now() + patience[phase] * 1000;
    for (;;) {
      for (const name of candidates) {
        const host = { ...this.host(name), privateKeys };
        try {
          return await Session.start(host, this.command(phase, machine, reported, name), kubeconfig);
        } catch (error) {
          if (!(error instanceof Disconnected)) throw error;
          await pulumi.log.debug(`${name} cannot be reached: ${error.message}`);
          if (Date.now() > end && name === candidates.at(-1))
            throw new Disconnected(`${machine.name}: none of ${candidates.join(", ")} accepts SSH (${error.message})`);
        }
      }
      await sleep(1000);
    }
  }

  private host(name: string): Omit<Host, "privateKeys"> {
    return { address: this.sshHosts.get(name) ?? "", hostKey: this.hostKeys.get(name) ?? "", user: sshUser };
  }

  private command(phase: Phase, machine: Machine, reported: string, on: string): string {
    return restartCommand(phase, machine, reported, {
      name: on,
      privateIp: this.controllers.find(({ name }) => name === on)?.privateIp ?? machine.privateIp,
      controllers: this.controllers,
    });
  }
}

/** Whether an update of an instance stops and starts it. */
function restarts({ oldOutputs, newInputs }: pulumi.ResourceHookArgs): boolean {
  return oldOutputs?.["instanceType"] !== newInputs?.["instanceType"];
}

interface Surroundings {
  /** The machine on which the command runs. */
  readonly name: string;
  readonly privateIp: string;
  readonly controllers: readonly { readonly name: string; readonly privateIp: string }[];
}

/** The command of a phase, for the login shell of a user with sudo. It contains no secrets. */
export function restartCommand(
  phase: Phase,
  machine: Pick<Machine, "name" | "privateIp" | "role">,
  reported: string,
  { name, privateIp, controllers }: Surroundings,
): string {
  const variables = {
    LIBRARY: libraryDirectory,
    PHASE: phase,
    NODE_NAME: name,
    PRIVATE_IP: privateIp,
    MACHINE: machine.name,
    ADDRESS: machine.privateIp,
    ROLE: machine.role,
    CONTROLLERS: controllers.map((controller) => `${controller.name} ${controller.privateIp}`).join("\n"),
    REPORTED: reported,
  };
  const text = [
    "set -euo pipefail\numask 077\n",
    ...Object.entries(variables).map(([key, value]) => `${key}=${quote(value)}\n`),
    ...["lib/nodes.sh", "tools/restart.sh"].map((file) => withoutComments(asset(`scripts/${file}`))),
  ].join("");
  return `sudo -n bash -c ${quote(text)}`;
}

/** The value of an output that does not depend on what is being updated. */
const known = <T>(output: pulumi.Output<T>): Promise<T> => new Promise((resolve) => void output.apply(resolve));

function failure(machine: Machine, what: string, session: Session): Error {
  const end = session.lines.filter((line) => line !== "").slice(-20);
  return new Error(`${machine.name} ${what}:\n  ${end.join("\n  ") || "the connection broke"}`);
}
