/** Runs a program to its end; bounded, and never through a shell. */
import { spawn } from "node:child_process";

export interface CommandResult {
  /** Exit code; -1 where the program could not be started, was stopped or ran out of time. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  /** Text for standard input; closed at once where there is none. */
  readonly input?: string;
  readonly timeoutSeconds?: number;
  readonly signal?: AbortSignal;
  /** Out of the terminal's reach: Ctrl-C does not go to it. */
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
      const why = error.name === "AbortError" ? `${program} was stopped (its bound is ${seconds} s)` : error.message;
      resolve({ code: -1, stdout, stderr: stderr + why });
    });
    child.on("close", (code) => resolve({ code: code ?? -1, stdout, stderr }));
    child.stdin.on("error", () => undefined); // a program that ends without reading is no fault
    child.stdin.end(options.input ?? "");
  });
}
