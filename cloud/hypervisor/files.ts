/**
 * Atomic updates of files that can be derived from the API's state. They are not synced to disk: whatever a power cut leaves
 * of them differs from what the next hypervisor wants, which therefore writes them again.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/** Replaces the file atomically, unless it already has this content. Returns whether it was written. */
export function writeIfChanged(file: string, content: string, mode = 0o644): boolean {
  try {
    if (readFileSync(file, "utf8") === content) return false;
  } catch {
    mkdirSync(dirname(file), { recursive: true });
  }
  writeFileSync(`${file}.new`, content, { mode });
  renameSync(`${file}.new`, file);
  return true;
}
