/** Runs commands to completion, without a shell. */
import { execa, type ExecaError } from "execa";
import { withFileLock } from "./file-lock";

/** The outcome of a command. */
export interface Result {
  /** 127 if the command could not be started, 1 if a signal ended it. */
  readonly exitCode: number;
  readonly stdout: string;
  /** Standard output and standard error, interleaved; the reason if the command could not be started. */
  readonly all: string;
}

/** Options of a command. */
export interface RunOptions {
  /** Text for standard input, which is empty by default. */
  readonly input?: string;
  /** Variables in addition to those of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** Working directory; by default that of this process. */
  readonly cwd?: string;
}

/** Runs a command to completion and returns the outcome, whatever the exit code. */
export async function tryRun(command: string, args: readonly string[], options: RunOptions = {}): Promise<Result> {
  const kept = { all: true, cleanup: false, maxBuffer: Infinity, stripFinalNewline: false } as const;
  const child = execa(command, args, { input: "", ...options, ...kept });
  child.stdin?.removeAllListeners("error").on("error", () => undefined); // a command may exit without reading its input
  const result = await child.catch((error: ExecaError) => error);
  const { exitCode, signal, stdout, all = "" } = result;
  if (exitCode !== undefined) return { exitCode, stdout, all };
  if (signal !== undefined) return { exitCode: 1, stdout, all };
  return { exitCode: 127, stdout, all: ("originalMessage" in result && result.originalMessage) || all };
}

/** Runs a command and returns its standard output. @throws with the command's whole output if it fails. */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const result = await tryRun(command, args, options);
  if (result.exitCode !== 0) {
    throw new Error(
      `\`${[command, ...args].join(" ")}\` failed with exit code ${result.exitCode}: ${result.all.trim()}`,
    );
  }
  return result.stdout;
}

/**
 * Installs Debian packages, one installation at a time on this machine.
 * @returns undefined, or why it failed.
 */
export async function aptInstall(packages: readonly string[]): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return "only root can install packages";
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  return withFileLock(
    "/run/kubernetes-from-scratch-apt.lock",
    () => undefined,
    async () => {
      await tryRun("apt-get", ["update", "-qq"], { env });
      const install = ["install", "-y", "-qq", "--no-install-recommends", ...packages];
      const result = await tryRun("apt-get", ["-o", "DPkg::Lock::Timeout=300", ...install], { env });
      return result.exitCode === 0 ? undefined : result.all;
    },
  );
}
