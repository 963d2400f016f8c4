/** A test's cluster, on its own local cloud, driven by the commands that a user types. */
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
import { type Template, words } from "./words";

/** Where a test's cluster lives. It shares nothing with a user's cluster. */
export interface Place {
  readonly stack: string;
  /** Name of the local cloud. */
  readonly cloud: string;
  /** Port of its EC2 API on loopback. */
  readonly port: number;
  /** First two octets of the VPC's /16. */
  readonly network: string;
}

/** How a command ended and what it printed. */
export interface Outcome {
  readonly exitCode: number | undefined;
  readonly stdout: string;
  /** Standard output and standard error, interleaved. */
  readonly all: string;
}

/** A file of test/support/scripts. */
export const scriptText = (file: string): string => readFileSync(join(__dirname, "scripts", file), "utf8");

export class TestCluster {
  private readonly config: Record<string, unknown>;
  /** Goes with the secrets in it. */
  private encryptionsalt: string | undefined;
  private variables: Record<string, string> = {};
  /** What else the user's shell exports. */
  exported: Readonly<Record<string, string>> = {};
  /** What the stack's file contains instead of its configuration; null if it does not exist. */
  text: string | null | undefined;

  /**
   * @param preset the stack whose configuration the test starts from, such as "local".
   * @param values configuration on top of it, as `configure` takes it.
   */
  constructor(
    readonly at: Place,
    preset: string,
    values: Readonly<Record<string, unknown>> = {},
  ) {
    const file = parse(readFileSync(join(root, `Pulumi.${preset}.yaml`), "utf8")) as {
      config: Record<string, unknown>;
    };
    this.config = file.config;
    const mirror = `http://${at.network}.0.1:8080`;
    this.configure({
      vpcCidr: `${at.network}.0.0/16`,
      adminCidr: `${at.network}.0.1/32`,
      awsEndpoint: `http://127.0.0.1:${at.port}`,
      mirror,
      registryMirror: mirror,
      ...values,
    });
  }

  /** Changes the configuration for the next make target: keys without the namespace, undefined removes one. */
  configure(values: Readonly<Record<string, unknown>>): void {
    for (const [name, value] of Object.entries(values)) this.config[`kubernetes-from-scratch:${name}`] = value;
  }

  /** Changes a secret of the configuration as a user does. The cluster exists. */
  async configureSecret(name: string, value: string): Promise<void> {
    this.prepare();
    await this.loadEnvironment();
    await this.succeed("pulumi", ["config", "set", "--secret", name, "--stack", this.at.stack], value);
    const file = parse(readFileSync(this.configFile, "utf8")) as {
      config: Record<string, unknown>;
      encryptionsalt: string;
    };
    this.encryptionsalt = file.encryptionsalt;
    const key = `kubernetes-from-scratch:${name}`;
    this.config[key] = file.config[key];
  }

  /** Runs a make target for this stack and returns its whole output. @throws unless it exits with 0. */
  async make(...command: Template): Promise<string> {
    return (await this.succeed("make", this.target(command))).all;
  }

  async tryMake(...command: Template): Promise<Outcome> {
    return this.run("make", this.target(command));
  }

  /** Starts a make target in its own process group and returns the child, for a test that kills it. */
  start(...command: Template): ExecaChildProcess {
    return execa("make", this.target(command), {
      cwd: root,
      env: this.environment(),
      all: true,
      reject: false,
      detached: true,
      stdin: "ignore",
    });
  }

  /** Kills what `start` started, Pulumi's engine included, as soon as the output reaches that moment. */
  async killAt(child: ExecaChildProcess, moment: (output: string) => boolean): Promise<void> {
    let output = "";
    await new Promise<void>((resolve, reject) => {
      child.all?.on("data", (chunk: Buffer) => {
        output += chunk.toString();
        if (moment(output)) resolve();
      });
      void child.then(() => reject(new Error(`it exited before that moment:\n${output}`)));
    });
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    await child;
  }

  /** Runs kubectl as the administrator, and returns its standard output, trimmed. @throws unless it exits with 0. */
  async kubectl(...command: Template): Promise<string> {
    await this.loadEnvironment();
    return (await this.succeed("kubectl", words(...command))).stdout.trim();
  }

  async tryKubectl(...command: Template): Promise<Outcome> {
    await this.loadEnvironment();
    return this.run("kubectl", words(...command));
  }

  /** Runs Pulumi as a user does after `eval "$(make -s env)"`, and returns its standard output, trimmed. */
  async pulumi(...command: Template): Promise<string> {
    await this.loadEnvironment();
    return (await this.succeed("pulumi", words(...command))).stdout.trim();
  }

  /** Runs commands in a shell that has evaluated `make env`, and returns the whole output. @throws unless they succeed. */
  async shell(commands: string): Promise<string> {
    const evaluate = `eval "$(make -s --no-print-directory env STACK=${this.at.stack})"`;
    return (await this.succeed("bash", ["-euo", "pipefail", "-c", `${evaluate}\n${commands}`])).all;
  }

  /** Applies manifests given as text, and returns what kubectl said, warnings included. */
  async apply(manifests: string): Promise<string> {
    await this.loadEnvironment();
    return (await this.succeed("kubectl", ["apply", "-f", "-"], manifests)).all;
  }

  /** Runs a shell command on a machine over SSH with the host key pinned, and returns its standard output, trimmed. */
  async ssh(machine: string, command: string, input?: string): Promise<string> {
    return (await this.succeed("ssh", this.login(machine, command), input)).stdout.trim();
  }

  async trySsh(machine: string, command: string, input?: string): Promise<Outcome> {
    return this.run("ssh", this.login(machine, command), input);
  }

  /** Runs a file of test/support/scripts as root on a machine; its arguments are words of a shell. */
  async script(machine: string, file: string, ...args: string[]): Promise<string> {
    return this.ssh(machine, ["sudo bash -s --", ...args].join(" "), scriptText(file));
  }

  /** Runs the local cloud's command line on the cloud that the environment names. */
  async cloud(...command: Template): Promise<string> {
    return (await this.succeed("tsx", ["cloud/cli.ts", ...words(...command)])).stdout;
  }

  /** What carries this stack's tags in the cloud but is not in its state. */
  async strays(): Promise<CloudResource[]> {
    const stack = openStack(this.at.stack);
    return strays(new Pulumi(stack, await ensureToolchain(stack)));
  }

  /** `make down`, then removes the stack's configuration file. */
  async destroy(): Promise<void> {
    await this.make`down`;
    rmSync(this.configFile, { force: true });
  }

  environment(): Record<string, string> {
    return {
      ...this.exported,
      ...this.variables,
      LAB_CLOUD: this.at.cloud,
      LAB_CLOUD_PORT: String(this.at.port),
      PATH: `${this.variables["PATH"] ?? process.env["PATH"]}`,
    };
  }

  private get configFile(): string {
    return join(root, `Pulumi.${this.at.stack}.yaml`);
  }

  /** Writes the stack's configuration, as every make target does first. */
  prepare(): void {
    if (this.text === null) rmSync(this.configFile, { force: true });
    else
      writeFileSync(
        this.configFile,
        this.text ?? stringify({ encryptionsalt: this.encryptionsalt, config: this.config }),
      );
  }

  /** Arguments for make. */
  private target(command: Template): string[] {
    this.prepare();
    const [target = "", ...args] = words(...command);
    return ["--no-print-directory", target, `STACK=${this.at.stack}`, ...args];
  }

  private login(machine: string, command: string): string[] {
    return ["-F", join(stackDir(this.at.stack), "ssh_config"), machine, command];
  }

  /** Evaluates `make env` in a shell, once. */
  private async loadEnvironment(): Promise<void> {
    if (this.variables["KUBECONFIG"]) return;
    const evaluate = `eval "$(make -s --no-print-directory env STACK=${this.at.stack})" && env -0`;
    const { stdout } = await this.succeed("bash", ["-c", evaluate]);
    for (const line of stdout.split("\0")) {
      const at = line.indexOf("=");
      if (/^(KUBECONFIG|PULUMI_\w+|PATH)$/.test(line.slice(0, at)))
        this.variables[line.slice(0, at)] = line.slice(at + 1);
    }
  }

  private async run(command: string, args: readonly string[], input = ""): Promise<Outcome> {
    const options = { cwd: root, env: this.environment(), all: true, reject: false, input } as const;
    const { exitCode, stdout, all } = await execa(command, args, options);
    return { exitCode, stdout, all: all ?? "" };
  }

  /** Runs a command that must succeed. @throws with its whole output unless it exits with 0. */
  private async succeed(command: string, args: readonly string[], input?: string): Promise<Outcome> {
    const outcome = await this.run(command, args, input);
    if (outcome.exitCode === 0) return outcome;
    throw new Error(`${command} ${args.join(" ")} exited with ${outcome.exitCode}:\n${outcome.all}`);
  }
}

/** Polls until `probe` is done. @throws after that many seconds, with what it last saw. */
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
  throw new Error(`timed out after ${seconds} s waiting for ${what}; last seen: ${saw}`);
}
