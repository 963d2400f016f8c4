/** Writes the transcript of the whole bootstrap: what a reader types on empty machines to get the same cluster. */
import { mkdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { transcript } from "../bootstrap/by-hand";
import { clusterSpec } from "../cluster/spec";
import { stackDir } from "./places";
import { checkedConfig } from "./stack-config";

/**
 * Writes .lab/<stack>/by-hand.md and returns its path.
 * @throws UserError with every fault of the stack's configuration.
 */
export async function writeTranscript(stack: string): Promise<string> {
  mkdirSync(stackDir(stack), { recursive: true, mode: 0o700 });
  const path = join(stackDir(stack), "by-hand.md");
  await writeFile(path, transcript(clusterSpec(checkedConfig(stack))));
  return path;
}
