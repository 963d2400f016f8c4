import { spawn } from "node:child_process";
import { withFileLock } from "./file-lock";

/** What a command left behind. */
export interface Result {
  readonly exitCode: number;
  readonly stdout: string;
  /** Standard output and standard error, interleaved. */
  readonly all: string;
}

/** Options of a command. */
export interface RunOptions {
  /** Text for its standard input. */
  readonly input?: string;
  /** Variables beside those of this process. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs a command to its end and answers its result, whatever the exit code; 127 if it cannot be started. */
export function tryRun(command: string, args: readonly string[], options: RunOptions = {}): Promise<Result> {
  return new Promise((done) => {
    const child = spawn(command, args, { env: { ...process.env, ...options.env }, stdio: ["pipe", "pipe", "pipe"] });
    let stdout = "";
    let all = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => ((stdout += text), (all += text)));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (all += text));
    child.stdin.on("error", () => undefined); // a command that reads no input
    child.stdin.end(options.input ?? "");
    child.on("error", (error) => done({ exitCode: 127, stdout, all: error.message }));
    child.on("close", (code) => done({ exitCode: code ?? 1, stdout, all }));
  });
}

/** Runs a command and answers its standard output; throws with the command's own words if it fails. */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const result = await tryRun(command, args, options);
  if (result.exitCode !== 0) {
    throw new Error(
      `\`${[command, ...args].join(" ")}\` failed with exit code ${result.exitCode}: ${result.all.trim()}`,
    );
  }
  return result.stdout;
}

/** Installs Debian packages if apt-get is here and may; answers its output if that failed. One at a time on the machine. */
export async function aptInstall(packages: readonly string[]): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return "apt-get installs as root only";
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
