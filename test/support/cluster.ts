/** A cluster of the tests' own on a local cloud of its own, driven by the commands that a user types. */
import { writeFileSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { execa, type ExecaChildProcess } from "execa";
import { parse, stringify } from "yaml";
import { root, stackDir } from "../../tools/places";
import { Pulumi } from "../../tools/pulumi";
import { strays } from "../../tools/recover";
import type { CloudResource } from "../../tools/recover/orphans";
import { openStack } from "../../tools/stack";
import { ensureToolchain } from "../../tools/toolchain";

/** Where a test's cluster lives: nothing of it is shared with a running lab. */
export interface TestLab {
  readonly stack: string;
  /** Name of the local cloud. */
  readonly cloud: string;
  /** Port of its EC2 API on loopback. */
  readonly port: number;
  /** First two octets of the VPC's /16. */
  readonly network: string;
}

/** How a command ended, and what it wrote. */
export interface Outcome {
  readonly exitCode: number | undefined;
  readonly stdout: string;
  /** Standard output and error as they came. */
  readonly all: string;
}

const key = (name: string): string => `kubernetes-from-scratch:${name}`;

export class Lab {
  private variables: Record<string, string> = {};

  /**
   * @param preset the stack file that the test's own is made from, such as "local".
   * @param overrides values by key, without the namespace.
   */
  constructor(
    readonly at: TestLab,
    preset: string,
    overrides: Record<string, unknown> = {},
  ) {
    const file = parse(readFileSync(join(root, `Pulumi.${preset}.yaml`), "utf8")) as {
      config: Record<string, unknown>;
    };
    const gateway = `http://${at.network}.0.1:8080`;
    Object.assign(file.config, {
      [key("vpcCidr")]: `${at.network}.0.0/16`,
      [key("adminCidr")]: `${at.network}.0.1/32`,
      [key("awsEndpoint")]: `http://127.0.0.1:${at.port}`,
      [key("mirror")]: gateway,
      [key("registryMirror")]: gateway,
    });
    writeFileSync(this.configFile, stringify(file));
    this.configure(overrides);
  }

  private get configFile(): string {
    return join(root, `Pulumi.${this.at.stack}.yaml`);
  }

  /** Changes values of the stack's configuration; undefined removes a key. */
  configure(values: Record<string, unknown>): void {
    const file = parse(readFileSync(this.configFile, "utf8")) as { config: Record<string, unknown> };
    for (const [name, value] of Object.entries(values)) {
      if (value === undefined) delete file.config[key(name)];
      else file.config[key(name)] = value;
    }
    writeFileSync(this.configFile, stringify(file));
  }

  /** Runs a make target for this stack; fails with its whole output unless `reject` is false. */
  async make(target: string, options: { args?: string[]; reject?: boolean } = {}): Promise<string> {
    const result = await this.run("make", [
      "--no-print-directory",
      target,
      `STACK=${this.at.stack}`,
      ...(options.args ?? []),
    ]);
    if (result.exitCode !== 0 && options.reject !== false)
      throw new Error(`make ${target} ended with ${result.exitCode}:\n${result.all}`);
    return result.all;
  }

  /** Starts a make target in a process group of its own and returns the child, for a test that kills it. */
  start(target: string, ...args: string[]): ExecaChildProcess {
    return execa("make", ["--no-print-directory", target, `STACK=${this.at.stack}`, ...args], {
      cwd: root,
      env: this.environment(),
      all: true,
      reject: false,
      detached: true,
      stdin: "ignore",
    });
  }

  /** Kills what `start` made, engine and all, as soon as its output is at that moment. */
  async killAt(child: ExecaChildProcess, moment: (output: string) => boolean): Promise<void> {
    let output = "";
    await new Promise<void>((resolve, reject) => {
      child.all?.on("data", (chunk: Buffer) => {
        output += chunk.toString();
        if (moment(output)) resolve();
      });
      void child.then(() => reject(new Error(`it ended before that moment:\n${output}`)));
    });
    await this.kill(child);
  }

  /** Ends every process of a group that `start` made, and waits until none is left. */
  async kill(child: ExecaChildProcess): Promise<void> {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    await child;
  }

  async kubectl(...args: string[]): Promise<string> {
    const result = await this.tryKubectl(...args);
    if (result.exitCode !== 0) throw new Error(`kubectl ${args.join(" ")}: ${result.all}`);
    return result.stdout.trim();
  }

  async tryKubectl(...args: string[]): Promise<Outcome> {
    await this.loadEnvironment();
    return this.run("kubectl", args);
  }

  /** Runs Pulumi as a user does after `eval "$(make -s env)"`; its standard output, trimmed. */
  async pulumi(...args: string[]): Promise<string> {
    await this.loadEnvironment();
    const result = await this.run("pulumi", args);
    if (result.exitCode !== 0) throw new Error(`pulumi ${args.join(" ")}: ${result.all}`);
    return result.stdout.trim();
  }

  /** Applies manifests given as text. */
  async apply(manifests: string): Promise<void> {
    await this.loadEnvironment();
    await execa("kubectl", ["apply", "-f", "-"], { cwd: root, env: this.environment(), input: manifests });
  }

  /** Runs a command on a machine over SSH with the host key pinned; its standard output, trimmed. */
  async ssh(machine: string, command: string, input?: string): Promise<string> {
    const result = await this.trySsh(machine, command, input);
    if (result.exitCode !== 0) throw new Error(`ssh ${machine} ${command}: ${result.all}`);
    return result.stdout.trim();
  }

  async trySsh(machine: string, command: string, input?: string): Promise<Outcome> {
    return this.run("ssh", ["-F", join(stackDir(this.at.stack), "ssh_config"), machine, command], input);
  }

  /** Runs a script as a machine's root; it ends at its first fault. */
  async script(machine: string, text: string): Promise<string> {
    return this.ssh(machine, "sudo bash -euo pipefail -s", text);
  }

  /** Runs the local cloud's command line. */
  async cloud(...args: string[]): Promise<string> {
    const result = await this.run("tsx", ["cloud/cli.ts", ...args, "--name", this.at.cloud]);
    if (result.exitCode !== 0) throw new Error(`cloud ${args.join(" ")}: ${result.all}`);
    return result.stdout;
  }

  /** What exists in the cloud under this stack's tags without being in its state. */
  async strays(): Promise<CloudResource[]> {
    const stack = openStack(this.at.stack);
    return strays(new Pulumi(stack, await ensureToolchain(stack)));
  }

  /** `make down`, and the stack's own configuration file removed. */
  async destroy(): Promise<string> {
    const output = await this.make("down");
    rmSync(this.configFile, { force: true });
    return output;
  }

  environment(): Record<string, string> {
    return {
      ...this.variables,
      LAB_CLOUD: this.at.cloud,
      LAB_CLOUD_PORT: String(this.at.port),
      PATH: `${this.variables["PATH"] ?? process.env["PATH"]}`,
    };
  }

  /** Reads `make env` as a shell would, once. */
  private async loadEnvironment(): Promise<void> {
    if (this.variables["KUBECONFIG"]) return;
    const { stdout } = await execa(
      "bash",
      ["-c", `eval "$(make -s --no-print-directory env STACK=${this.at.stack})" && env -0`],
      { cwd: root, env: { LAB_CLOUD: this.at.cloud } },
    );
    for (const line of stdout.split("\0")) {
      const at = line.indexOf("=");
      if (/^(KUBECONFIG|PULUMI_\w+|PATH)$/.test(line.slice(0, at)))
        this.variables[line.slice(0, at)] = line.slice(at + 1);
    }
  }

  private async run(command: string, args: string[], input = ""): Promise<Outcome> {
    const options = { cwd: root, env: this.environment(), all: true, reject: false, input } as const;
    const { exitCode, stdout, all } = await execa(command, args, options);
    return { exitCode, stdout, all: all ?? "" };
  }
}

/** Polls until `probe` returns something else than undefined; fails with what it last saw. */
export async function eventually<T>(
  what: string,
  seconds: number,
  probe: () => Promise<{ done: T } | { saw: string }>,
): Promise<T> {
  const end = Date.now() + seconds * 1000;
  let saw = "nothing";
  do {
    const result = await probe();
    if ("done" in result) return result.done;
    saw = result.saw;
    await new Promise((resolve) => setTimeout(resolve, 300));
  } while (Date.now() < end);
  throw new Error(`${what}: not within ${seconds} s; last seen: ${saw}`);
}
