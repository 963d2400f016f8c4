import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/** Writes the file unless it has that content already; whoever reads it sees the old or the new, never half. */
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
