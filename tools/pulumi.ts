/** Pulumi's command line for one stack, with the same commands that a user would type. */
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { stringify } from "yaml";
import { createFile } from "../lib/durable-file";
import { UserError } from "../lib/errors";
import type { StackOutputs } from "./outputs";
import { passphraseFile, project, root, stateDir } from "./places";
import { writePrivateFile } from "./private-file";
import { refuseLocked } from "./pulumi-lock";
import type { Stack } from "./stack";
import { committedFile, effectiveFile, removeSalt } from "./stack-file";
import type { Toolchain } from "./toolchain";

/** The part of a deployment that the tools read. */
export interface Deployment {
  readonly resources?: readonly StateResource[];
  readonly pending_operations?: readonly PendingOperation[];
  readonly [key: string]: unknown;
}

export interface StateResource {
  readonly urn: string;
  readonly type: string;
  readonly id?: string;
  readonly inputs?: Readonly<Record<string, unknown>>;
  readonly outputs?: Readonly<Record<string, unknown>>;
  /** When an operation last created or changed it, in ISO 8601. */
  readonly modified?: string;
}

/** An operation that had begun but not ended when the engine was killed. */
export interface PendingOperation {
  readonly type: string;
  readonly resource: StateResource;
}

interface CommandOptions {
  /** Returns the output instead of showing it on the terminal. */
  readonly quiet?: boolean;
  /** Whether the command is about this stack. Default: true. */
  readonly stackFlag?: boolean;
  readonly input?: string;
  readonly cwd?: string;
}

/** Commands that read the stack's configuration. */
const readsConfiguration: readonly string[] = ["up", "preview", "refresh", "destroy"];

export class Pulumi {
  constructor(
    readonly stack: Stack,
    readonly toolchain: Toolchain,
  ) {}

  /** Environment of every command. A stack on AWS keeps the user's own backend and secrets provider. */
  environment(): Record<string, string> {
    return { ...this.toolchain.environment, ...(this.stack.isLocal ? localBackend() : {}) };
  }

  /** Writes this run's configuration, and creates the stack if it does not exist yet. */
  async prepare(): Promise<void> {
    const { name, effective, isLocal } = this.stack;
    if (isLocal) writePrivateFile(effectiveFile(name), stringify(effective));
    if (!(await this.exists())) await this.init();
  }

  async up(extra: readonly string[] = []): Promise<void> {
    await this.run(["up", "--yes", "--skip-preview", "--suppress-outputs", ...extra]);
  }

  async preview(extra: readonly string[] = []): Promise<void> {
    await this.run(["preview", "--suppress-outputs", ...extra]);
  }

  async refresh(): Promise<void> {
    await this.run(["refresh", "--yes", "--skip-preview", "--suppress-outputs"]);
  }

  /** Destroys every resource, then removes the stack; its configuration stays. */
  async destroy(): Promise<void> {
    await this.run(["destroy", "--yes", "--skip-preview", "--suppress-outputs"]);
    await this.run(["stack", "rm", "--yes", "--preserve-config"], { quiet: true });
  }

  /** Removes the stack although it still has resources, which no longer exist; its configuration stays. */
  async forget(): Promise<void> {
    await this.run(["stack", "rm", "--yes", "--force", "--preserve-config"], { quiet: true });
  }

  /** Releases the lock of a command that is no longer running. */
  async cancel(): Promise<void> {
    await this.run(["cancel", "--yes"], { quiet: true });
  }

  /** @throws UserError if no run has succeeded yet. */
  async outputs(): Promise<StackOutputs> {
    const text = await this.run(["stack", "output", "--json", "--show-secrets"], { quiet: true }).catch(
      (error: Error) => {
        if (/no stack named/.test(error.message)) return "{}";
        throw error;
      },
    );
    const outputs = JSON.parse(text) as Partial<StackOutputs>;
    if (!outputs.nodes)
      throw new UserError(
        `Stack ${this.stack.name} has no outputs, because no run has succeeded yet.`,
        `Build the cluster: make up STACK=${this.stack.name}`,
      );
    return outputs as StackOutputs;
  }

  /** The stack's deployment as Pulumi keeps it, secrets encrypted. */
  async state(): Promise<Deployment> {
    const text = await this.run(["stack", "export"], { quiet: true });
    return (JSON.parse(text) as { deployment: Deployment }).deployment;
  }

  async importState(deployment: Deployment): Promise<void> {
    const input = JSON.stringify({ version: 3, deployment });
    await this.run(["stack", "import", "--force"], { quiet: true, input });
  }

  /** Every stack of this project in the same backend, with its number of resources. */
  async siblings(): Promise<{ name: string; resources: number }[]> {
    const text = await this.run(["stack", "ls", "--json"], { quiet: true, stackFlag: false });
    return (JSON.parse(text) as { name: string; resourceCount?: number }[]).map((stack) => ({
      name: stack.name.split("/").pop() ?? stack.name,
      resources: stack.resourceCount ?? 0,
    }));
  }

  /** Whether the stack exists in its backend. */
  async exists(): Promise<boolean> {
    return (await this.siblings()).some(({ name }) => name === this.stack.name);
  }

  /**
   * Creates the stack. Pulumi writes the salt of its secrets into the stack's file beside Pulumi.yaml. For a local stack,
   * this runs in a temporary folder, so that the committed file does not change; Pulumi generates a new salt if the
   * effective file has none. A salt that a plain `pulumi preview` left in the committed file for an earlier stack would be
   * rejected.
   */
  private async init(): Promise<void> {
    const args = ["stack", "init", this.stack.name, "--no-select"];
    if (!this.stack.isLocal) {
      await this.run(args, { quiet: true, stackFlag: false });
      return;
    }
    if (this.stack.hasUnusedSalt) removeSalt(committedFile(this.stack.name));
    const cwd = mkdtempSync(join(tmpdir(), "kfs-stack-"));
    try {
      writeFileSync(join(cwd, "Pulumi.yaml"), stringify({ name: project, runtime: "nodejs" }));
      await this.run(args, { quiet: true, stackFlag: false, cwd });
    } finally {
      rmSync(cwd, { recursive: true, force: true });
    }
  }

  private async run(args: readonly string[], options: CommandOptions = {}): Promise<string> {
    const { quiet = false, input } = options;
    const result = await execa(this.toolchain.pulumi, this.arguments(args, options), {
      cwd: options.cwd ?? root,
      env: this.environment(),
      ...(input === undefined ? { stdin: "ignore" } : { input }),
      stdout: quiet ? "pipe" : "inherit",
      stderr: quiet ? "pipe" : "inherit",
      reject: false,
    });
    if (result.exitCode !== 0) {
      if (this.stack.isLocal) refuseLocked(this.stack.name); // a clearer message than Pulumi's
      const why = quiet ? `:\n${String(result.stderr || result.stdout)}` : "";
      throw new UserError(
        `pulumi ${args[0]} of stack ${this.stack.name} failed with exit code ${result.exitCode}${why}`,
      );
    }
    return quiet ? String(result.stdout) : "";
  }

  private arguments(args: readonly string[], { stackFlag = true }: CommandOptions): string[] {
    const { name, isLocal } = this.stack;
    const ownConfiguration = isLocal && readsConfiguration.includes(args[0] ?? "");
    return [
      ...args,
      ...(stackFlag ? ["--stack", name] : []),
      ...(ownConfiguration ? ["--config-file", effectiveFile(name)] : []),
      "--non-interactive",
    ];
  }
}

/** The environment of Pulumi's file backend in this checkout. Its passphrase is created on first use. */
function localBackend(): Record<string, string> {
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  // of two commands that do so at the same time, the first one's is kept
  if (!existsSync(passphraseFile)) createFile(passphraseFile, randomBytes(24).toString("base64url"));
  return {
    PULUMI_BACKEND_URL: `file://${stateDir}`,
    PULUMI_CONFIG_PASSPHRASE_FILE: passphraseFile,
    // the state contains every step's text twice, as input and as output; compressed, it is a tenth of the size
    PULUMI_SELF_MANAGED_STATE_GZIP: "true",
  };
}
