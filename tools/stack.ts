/** One Pulumi stack, driven by the Pulumi command line: the same commands that a user types. */
import { randomBytes } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { startTime } from "../lib/process";
import { UserError } from "../lib/errors";
import { labDir, passphraseFile, root, stackDir, stateDir } from "./places";
import { forgetSalt, localPort, type Overrides, writeEffectiveFile } from "./stack-config";
import type { Toolchain } from "./toolchain";

/** A node as the stack's output `nodes` lists it. */
export interface NodeOutput {
  readonly name: string;
  readonly role: "control-plane" | "worker" | "balancer";
  readonly zone: string;
  readonly privateIp: string;
  readonly publicIp?: string;
  readonly instanceId: string;
  readonly podCidr?: string;
}

/** Outputs of the program, secrets included. */
export interface StackOutputs {
  readonly kubeconfig?: string;
  readonly apiEndpoint?: string;
  readonly nodes: readonly NodeOutput[];
  readonly sshConfig: string;
  readonly sshPrivateKey?: string;
  readonly sshKnownHosts: string;
  readonly certificateExpiry: Readonly<Record<string, string>>;
  readonly proofs: Readonly<Record<string, string>>;
}

export class Stack {
  /** Folder of the stack's files: .lab/<name>. */
  readonly dir: string;
  /** Port of the EC2-compatible API on loopback; undefined for a stack on AWS. */
  readonly localPort: number | undefined;
  private configFile?: string;

  /** @throws UserError where the stack has no configuration file, or its awsEndpoint is no URL. */
  constructor(
    readonly name: string,
    readonly toolchain: Toolchain,
  ) {
    this.dir = stackDir(name);
    this.localPort = localPort(name);
  }

  /** Environment of every Pulumi command. A stack on AWS keeps the user's own backend and secrets provider. */
  environment(): Record<string, string> {
    return { ...this.toolchain.environment, ...(this.localPort ? localBackend() : {}) };
  }

  /** Makes the stack where it does not exist yet, and fixes this run's configuration. */
  async prepare(overrides: Overrides = {}): Promise<void> {
    if (this.localPort) this.configFile = await writeEffectiveFile(this.name, overrides);
    else if (Object.values(overrides).some((value) => value !== undefined))
      throw new UserError(
        `Set ${Object.keys(overrides).join(", ")} of stack ${this.name} with "pulumi config set" (only stacks of the local cloud take it from the command line).`,
      );
    await this.takeOver();
    if (!(await this.exists())) await this.init();
  }

  async up(extra: readonly string[] = []): Promise<void> {
    await this.pulumi(["up", "--yes", "--skip-preview", "--suppress-outputs", ...extra]);
  }

  async preview(extra: readonly string[] = []): Promise<void> {
    await this.pulumi(["preview", "--suppress-outputs", ...extra]);
  }

  async refresh(extra: readonly string[] = []): Promise<void> {
    await this.pulumi(["refresh", "--yes", "--skip-preview", "--suppress-outputs", ...extra]);
  }

  /** Destroys every resource and forgets the stack; its configuration stays. */
  async destroy(): Promise<void> {
    await this.pulumi(["destroy", "--yes", "--skip-preview", "--suppress-outputs"]);
    await this.pulumi(["stack", "rm", "--yes", "--preserve-config"], { quiet: true });
  }

  /**
   * Makes the stack. Pulumi writes the salt of its secrets into the stack's file beside Pulumi.yaml: for a local stack that
   * is a copy, so that the committed file stays as it is; Pulumi makes a new salt where the file it is given has none. A salt
   * that a plain `pulumi preview` left there for a stack before this one would be refused from now on.
   */
  private async init(): Promise<void> {
    const args = ["stack", "init", this.name, "--no-select"];
    if (!this.localPort) {
      await this.pulumi(args, { quiet: true, stackFlag: false });
      return;
    }
    await forgetSalt(this.name);
    const cwd = mkdtempSync(join(tmpdir(), "kfs-stack-"));
    try {
      copyFileSync(join(root, "Pulumi.yaml"), join(cwd, "Pulumi.yaml"));
      await this.pulumi(args, { quiet: true, stackFlag: false, cwd });
    } finally {
      rmSync(cwd, { recursive: true, force: true });
    }
  }

  async outputs(): Promise<StackOutputs> {
    return JSON.parse(
      await this.pulumi(["stack", "output", "--json", "--show-secrets"], { quiet: true }),
    ) as StackOutputs;
  }

  /** The stack's deployment as Pulumi keeps it, secrets encrypted. */
  async state(): Promise<Deployment> {
    const text = await this.pulumi(["stack", "export"], { quiet: true });
    return (JSON.parse(text) as { deployment: Deployment }).deployment;
  }

  async importState(deployment: Deployment): Promise<void> {
    await this.pulumi(["stack", "import", "--force"], {
      quiet: true,
      input: JSON.stringify({ version: 3, deployment }),
    });
  }

  /** Every stack of this project in the same backend, with its number of resources. */
  async siblings(): Promise<{ name: string; resources: number }[]> {
    const text = await this.pulumi(["stack", "ls", "--json"], { quiet: true, stackFlag: false });
    return (JSON.parse(text) as { name: string; resourceCount?: number }[]).map((stack) => ({
      name: stack.name.split("/").pop() ?? stack.name,
      resources: stack.resourceCount ?? 0,
    }));
  }

  /** Whether the stack exists in its backend. */
  async exists(): Promise<boolean> {
    return (await this.siblings()).some((stack) => stack.name === this.name);
  }

  private command(args: readonly string[], stackFlag = true): string[] {
    const config = this.configFile && ["up", "preview", "refresh", "destroy"].includes(args[0] ?? "");
    return [
      ...args,
      ...(stackFlag ? ["--stack", this.name] : []),
      ...(config ? ["--config-file", this.configFile as string] : []),
      "--non-interactive",
    ];
  }

  private async pulumi(
    args: readonly string[],
    options: { quiet?: boolean; stackFlag?: boolean; input?: string; cwd?: string } = {},
  ): Promise<string> {
    const result = await execa(this.toolchain.pulumi, this.command(args, options.stackFlag), {
      cwd: options.cwd ?? root,
      env: this.environment(),
      stdin: options.input === undefined ? "ignore" : "pipe",
      ...(options.input === undefined ? {} : { input: options.input }),
      stdout: options.quiet ? "pipe" : "inherit",
      stderr: options.quiet ? "pipe" : "inherit",
      reject: false,
    });
    if (result.exitCode !== 0) {
      const why = options.quiet ? `:\n${String(result.stderr || result.stdout)}` : "";
      throw new UserError(`pulumi ${args[0]} of stack ${this.name} ended with exit code ${result.exitCode}${why}`);
    }
    return options.quiet ? String(result.stdout) : "";
  }

  /** An engine that was killed leaves its lock in the file backend; it is released only when that process is gone. */
  async takeOver(): Promise<void> {
    if (!this.localPort) return;
    removeBrokenAttributes();
    const locks = join(stateDir, ".pulumi", "locks");
    for (const file of globSync(`${locks}/**/${this.name}/*.json`)) {
      const lock = JSON.parse(readFileSync(file, "utf8")) as { pid: number; timestamp: string };
      if (isPulumi(lock.pid))
        throw new UserError(
          `Another Pulumi command (process ${lock.pid}, since ${lock.timestamp}) is working on stack ${this.name}. Wait for it to end.`,
        );
      console.log(`  The last run was interrupted (process ${lock.pid} is gone): releasing its lock.`);
      endProvidersWithoutEngine();
      await this.pulumi(["cancel", "--yes"], { quiet: true });
    }
  }
}

/** Part of a deployment that the tools read. */
export interface Deployment {
  readonly resources?: readonly StateResource[];
  readonly pending_operations?: readonly { readonly type: string; readonly resource: StateResource }[];
  readonly [key: string]: unknown;
}
export interface StateResource {
  readonly urn: string;
  readonly type: string;
  readonly id?: string;
  readonly inputs?: Readonly<Record<string, unknown>>;
  readonly outputs?: Readonly<Record<string, unknown>>;
}

/** Whether a live process of this id is Pulumi's; one that ended and was not waited for yet counts as gone. */
function isPulumi(pid: number): boolean {
  return startTime(pid) !== undefined && readFileSync(`/proc/${pid}/comm`, "utf8").startsWith("pulumi");
}

/**
 * A killed engine's providers live on for a moment, and may still create what nobody would know of. Ends those of this
 * checkout's stacks: their engine was the parent, so that they are children of process 1 now.
 */
function endProvidersWithoutEngine(): void {
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name)))
    try {
      const [, name, parent] = /\((.*)\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8")) ?? [];
      if (!name?.startsWith("pulumi-resource") || parent !== "1") continue;
      if (readFileSync(`/proc/${pid}/environ`, "utf8").includes(`PULUMI_BACKEND_URL=file://${stateDir}\0`))
        process.kill(Number(pid), "SIGKILL");
    } catch {
      // it has ended meanwhile
    }
}

/**
 * The file backend keeps each file's attributes beside it and writes them in two steps: a kill in between leaves them empty,
 * and no command reads the state any more. Without attributes it is read; they hold nothing that is needed.
 */
function removeBrokenAttributes(): void {
  for (const file of globSync(join(stateDir, ".pulumi", "stacks", "**", "*.attrs")))
    try {
      JSON.parse(readFileSync(file, "utf8"));
    } catch {
      rmSync(file, { force: true });
    }
}

function localBackend(): Record<string, string> {
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  mkdirSync(labDir, { recursive: true });
  if (!existsSync(passphraseFile))
    writeFileSync(passphraseFile, randomBytes(24).toString("base64url"), { mode: 0o600, flag: "wx" });
  return {
    PULUMI_BACKEND_URL: `file://${stateDir}`,
    PULUMI_CONFIG_PASSPHRASE_FILE: passphraseFile,
    // every step's text is in the state twice, as input and as output: a tenth of the size on disk
    PULUMI_SELF_MANAGED_STATE_GZIP: "true",
  };
}
