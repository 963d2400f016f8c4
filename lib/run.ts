/** Runs commands to completion, without a shell. */
import { execa, type ExecaError } from "execa";
import { withFileLock } from "./file-lock";

/** The outcome of a command. */
export interface Result {
  /** 127 if the command could not be started, 1 if it was stopped. */
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output and standard error, interleaved; the reason if the command could not be started. */
  readonly all: string;
  /** Why the command did not run to its end: not started, ended by a signal, or out of time. */
  readonly incomplete?: string;
}

/** Options of a command. */
export interface RunOptions {
  /** Text for standard input, which is empty otherwise. */
  readonly input?: string;
  /** Variables in addition to those of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** Working directory; otherwise that of this process. */
  readonly cwd?: string;
  /** Time limit; none otherwise. */
  readonly timeoutSeconds?: number;
  /** Stops the command. */
  readonly signal?: AbortSignal;
  /** Detached from the terminal, so that Ctrl-C does not reach the command. */
  readonly detached?: boolean;
}

/** Runs a command to its end and returns the outcome, whatever the exit code. */
export async function tryRun(command: string, args: readonly string[], options: RunOptions = {}): Promise<Result> {
  const { timeoutSeconds = 0, ...rest } = options;
  const kept = { all: true, cleanup: false, maxBuffer: Infinity, stripFinalNewline: false } as const;
  const child = execa(command, args, { input: "", ...rest, timeout: timeoutSeconds * 1000, ...kept });
  child.stdin?.removeAllListeners("error").on("error", () => undefined); // a command may exit without reading its input
  const result = await child.catch((error: ExecaError) => error);
  const { exitCode, signal, stdout, stderr, all = "" } = result;
  if (result.timedOut) return { exitCode: 1, stdout, stderr, all, incomplete: `stopped after ${timeoutSeconds} s` };
  if (exitCode !== undefined) return { exitCode, stdout, stderr, all };
  if (signal !== undefined || result.isCanceled)
    return { exitCode: 1, stdout, stderr, all, incomplete: `ended by ${signal ?? "its caller"}` };
  const reason = ("originalMessage" in result && result.originalMessage) || all;
  return { exitCode: 127, stdout, stderr, all: reason, incomplete: reason };
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
