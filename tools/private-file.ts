/** Files that only their owner can read. */
import { replaceFile } from "../lib/durable-file";

/**
 * Writes a file with mode 0600, ending in a newline, and creates its folder with mode 0700 if it does not exist. A
 * reader sees either the old content or the new, never a part of it.
 */
export function writePrivateFile(path: string, content: string): void {
  replaceFile(path, content.endsWith("\n") ? content : `${content}\n`, { mode: 0o600 });
}
