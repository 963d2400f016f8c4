/** Commands on the machines, over the stack's own SSH configuration (host keys pinned). */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Duplex } from "node:stream";
import { type Result, tryRun } from "../../lib/run";

/** Access to the machines of a stack. */
export class Nodes {
  private readonly sockets = mkdtempSync(join(tmpdir(), "kfs-ssh-"));
  /** Names of the machines, such as controller-0. */
  readonly names: readonly string[];

  /** @param config an OpenSSH client configuration with one Host entry per machine. */
  constructor(private readonly config: string) {
    this.names = hostsOf(readFileSync(config, "utf8"));
  }

  static of(config: string | undefined): Nodes | undefined {
    return config && existsSync(config) ? new Nodes(config) : undefined;
  }

  get controllers(): readonly string[] {
    return this.names.filter((name) => name.startsWith("controller-"));
  }
  get workers(): readonly string[] {
    return this.names.filter((name) => name.startsWith("worker-"));
  }

  /** Runs a shell command as root; a non-zero exit code is a result. No command line shows `input`: it may be secret. */
  async run(node: string, script: string, options: { input?: string; timeoutSeconds?: number } = {}): Promise<Result> {
    const input =
      options.input === undefined ? script : `(${script}\n) <<'END_OF_INPUT'\n${options.input}\nEND_OF_INPUT\n`;
    const { timeoutSeconds = 30 } = options;
    // Detached from Ctrl-C: neither a change nor its undo may be interrupted halfway.
    const result = await tryRun("ssh", [...this.options(), node, "sudo -n bash -s"], {
      input,
      timeoutSeconds,
      detached: true,
    });
    if (result.exitCode === 255 || result.incomplete !== undefined)
      throw new Error(
        `ssh ${node}: ${[result.stderr.trim(), result.incomplete].filter(Boolean).join("; ") || "no response"}`,
      );
    return result;
  }

  /** Standard output of a command that must succeed. */
  async output(
    node: string,
    script: string,
    options: { input?: string; timeoutSeconds?: number } = {},
  ): Promise<string> {
    const { exitCode, stdout, stderr } = await this.run(node, script, options);
    if (exitCode !== 0)
      throw new Error(
        `"${script.split("\n")[0]}" on ${node} exited with ${exitCode}: ${(stderr || stdout).trim().slice(-400)}`,
      );
    return stdout;
  }

  /** A connection to host:port as seen from this machine, through `ssh -W`. The caller destroys it. */
  tunnel(node: string, host: string, port: number): Duplex {
    const child = spawn("ssh", [...this.options(), "-W", `${host}:${port}`, node], {
      stdio: ["pipe", "pipe", "ignore"],
    });
    const duplex = Duplex.from({ readable: child.stdout, writable: child.stdin });
    duplex.on("close", () => child.kill());
    return duplex;
  }

  /** Closes the shared connections. */
  async close(): Promise<void> {
    for (const name of this.names) await tryRun("ssh", [...this.options(), "-O", "exit", name], { timeoutSeconds: 30 });
    rmSync(this.sockets, { recursive: true, force: true });
  }

  private options(): string[] {
    const shared = [
      "ControlMaster=auto",
      `ControlPath=${this.sockets}/%C`,
      "ControlPersist=60",
      "BatchMode=yes",
      "ConnectTimeout=8",
    ];
    return ["-F", this.config, ...shared.flatMap((option) => ["-o", option])];
  }
}

/** Names of the Host entries of an OpenSSH configuration; patterns are left out. */
export function hostsOf(config: string): string[] {
  return [...config.matchAll(/^\s*Host\s+(.+)$/gim)]
    .flatMap((match) => match[1]!.trim().split(/\s+/))
    .filter((name) => !/[*?!]/.test(name) && /^(controller|worker)-\d+$/.test(name));
}
