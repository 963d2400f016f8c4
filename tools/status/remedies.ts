/** What to type against a fault. Pure. */
import type { Machine, Subject } from "./facts";

export class Remedies {
  /** The command that repairs whatever can be repaired. */
  readonly up: string;

  constructor(private readonly subject: Subject) {
    this.up = code(`make up${subject.stack === "local" ? "" : ` STACK=${subject.stack}`}`);
  }

  start(machine: Machine): string {
    return this.byEither("starts", this.cloud("start", machine), this.aws("start-instances", machine));
  }

  /** For a machine that has died while EC2 calls it running. */
  reboot(machine: Machine): string {
    return this.byEither("starts", this.cloud("start", machine), this.aws("reboot-instances", machine));
  }

  /** For a machine that is silent for a reason that EC2 does not know. */
  look(machine: Machine): string {
    const [how, after] = this.subject.isLocal
      ? [this.cloud("logs", machine), this.cloud("reboot", machine)]
      : [
          this.aws("get-console-output --latest --output text", machine, "--instance-id"),
          this.aws("reboot-instances", machine),
        ];
    return `${how} shows its log, and ${after} reboots it.`;
  }

  restart(machine: string, unit: string): string {
    const ssh = `ssh -F ${this.subject.sshConfig} ${machine} sudo`;
    return `${code(`${ssh} journalctl -u ${unit} -n 50`)} shows why, and ${code(`${ssh} systemctl restart ${unit}`)} restarts it.`;
  }

  /** For an endpoint behind which API servers are ready. */
  endpoint(): string {
    const balancer = this.subject.machines.find(({ role }) => role === "balancer");
    if (balancer) return this.restart(balancer.name, "haproxy");
    return "Look at the load balancer's targets, and check that adminCidr includes this machine's address.";
  }

  kubectl = (command: string): string => code(`kubectl ${command}`);

  private byEither(does: string, local: string, aws: string): string {
    return `${this.up} ${does} it, and so does ${this.subject.isLocal ? local : aws}.`;
  }

  private cloud(command: string, { name }: Machine): string {
    return code(`tsx cloud/cli.ts ${command} ${name}`);
  }

  private aws(command: string, { instanceId }: Machine, flag = "--instance-ids"): string {
    const [name = "", ...flags] = command.split(" ");
    return code(["aws ec2", name, `--region ${this.subject.region}`, flag, instanceId, ...flags].join(" "));
  }
}

const code = (command: string): string => `\`${command}\``;
