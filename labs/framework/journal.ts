/**
 * What must be undone outside the lab's namespaces, written down before it is done: a lab that is killed outright leaves
 * the journal, and the next run begins by undoing what is in it. Every undo is harmless when repeated.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/** How to take one change back. A config value of null: as in the stack's own file. */
export type Undo =
  | { readonly kind: "command"; readonly title: string; readonly node: string; readonly command: string }
  | { readonly kind: "stack"; readonly title: string; readonly config: Readonly<Record<string, null>> };

export class Journal {
  constructor(private readonly file: string) {}

  /** The entry to undo first. */
  newest(): Undo | undefined {
    return this.read().at(-1);
  }

  add(undo: Undo): void {
    this.write([...this.read(), undo]);
  }

  /** Takes out the newest entry. */
  drop(): void {
    this.write(this.read().slice(0, -1));
  }

  private read(): Undo[] {
    return existsSync(this.file) ? (JSON.parse(readFileSync(this.file, "utf8")) as Undo[]) : [];
  }

  private write(entries: readonly Undo[]): void {
    if (!entries.length) return rmSync(this.file, { force: true });
    mkdirSync(dirname(this.file), { recursive: true });
    writeFileSync(`${this.file}.partial`, JSON.stringify(entries, null, 2), { mode: 0o600 });
    renameSync(`${this.file}.partial`, this.file);
  }
}
