/** Writes the transcript of the whole bootstrap: the commands that turn empty machines into the same cluster. */
import { mkdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { transcript } from "../bootstrap/by-hand";
import { clusterSpec } from "../cluster/spec";
import type { Stack } from "./stack";

/**
 * Writes .lab/<stack>/by-hand.md and returns its path.
 * @throws UserError with every fault of the stack's configuration.
 */
export async function writeTranscript(stack: Stack): Promise<string> {
  const text = transcript(clusterSpec(stack.config()));
  mkdirSync(stack.dir, { recursive: true, mode: 0o700 });
  const path = join(stack.dir, "by-hand.md");
  await writeFile(path, text);
  return path;
}
