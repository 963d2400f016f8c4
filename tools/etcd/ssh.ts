/** Commands on a stack's machines over SSH, and files copied from and to them. */
import { open } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { UserError } from "../../lib/errors";
import { type Result, tryRun } from "../../lib/run";
import { stackFiles } from "../outputs";
import type { Stack } from "../stack";

/** The exit code of ssh itself, as opposed to that of the command on the machine. */
export const unreachable = 255;

const words = (stack: Stack, machine: string, command: string): string[] => [
  ...["-F", join(stack.dir, stackFiles.sshConfig), "-o", "BatchMode=yes", "-o", "ConnectTimeout=5"],
  ...[machine, command],
];

export const trySsh = (stack: Stack, machine: string, command: string): Promise<Result> =>
  tryRun("ssh", words(stack, machine, command));

/** Standard output of a command. @throws UserError with the end of what it printed, if it fails. */
export async function ssh(stack: Stack, machine: string, command: string): Promise<string> {
  const { exitCode, stdout, all } = await trySsh(stack, machine, command);
  if (exitCode !== 0) throw failure(machine, all);
  return stdout.trim();
}

/** Copies a file that only root can read from a machine into one that must not exist, with mode 0600. */
export async function download(stack: Stack, machine: string, from: string, to: string): Promise<void> {
  const file = await open(to, "wx", 0o600);
  try {
    await stream(stack, machine, `sudo cat '${from}'`, ["ignore", file.fd, "pipe"]);
  } finally {
    await file.close();
  }
}

/** Copies a file into a folder on a machine that only root can read. */
export async function upload(stack: Stack, machine: string, from: string, to: string): Promise<void> {
  const file = await open(from);
  const command = `sudo bash -c 'umask 077 && mkdir -p "$(dirname "$0")" && cat >"$0"' '${to}'`;
  try {
    await stream(stack, machine, command, [file.fd, "pipe", "pipe"]);
  } finally {
    await file.close();
  }
}

async function stream(
  stack: Stack,
  machine: string,
  command: string,
  stdio: readonly ("ignore" | "pipe" | number)[],
): Promise<void> {
  const { exitCode, stderr } = await execa("ssh", words(stack, machine, command), { stdio: [...stdio], reject: false });
  if (exitCode !== 0) throw failure(machine, String(stderr));
}

const failure = (machine: string, output: string): UserError =>
  new UserError(`${machine}: ${output.trim().split("\n").slice(-5).join("\n  ") || "the connection failed"}`);
