/** Runs a program to completion, with a time limit and never through a shell. */
import { spawn } from "node:child_process";

export interface CommandResult {
  /** Exit code; -1 if the program could not be started, was stopped or ran out of time. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  /** Text for standard input, which is empty by default. */
  readonly input?: string;
  readonly timeoutSeconds?: number;
  readonly signal?: AbortSignal;
  /** Detached from the terminal, so that Ctrl-C does not reach it. */
  readonly detached?: boolean;
}

export function command(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const seconds = options.timeoutSeconds ?? 30;
  const bounds = [AbortSignal.timeout(seconds * 1000), ...(options.signal ? [options.signal] : [])];
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      stdio: ["pipe", "pipe", "pipe"],
      signal: AbortSignal.any(bounds),
      detached: options.detached ?? false,
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.on("error", (error) => {
      const why =
        error.name === "AbortError" ? `${program} was stopped (its time limit is ${seconds} s)` : error.message;
      resolve({ code: -1, stdout, stderr: stderr + why });
    });
    child.on("close", (code) => resolve({ code: code ?? -1, stdout, stderr }));
    child.stdin.on("error", () => undefined); // a program may exit without reading its input
    child.stdin.end(options.input ?? "");
  });
}
