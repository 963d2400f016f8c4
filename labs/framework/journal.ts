/**
 * How to undo each change outside the lab's namespaces, recorded before the change is made. A lab that is killed
 * outright leaves the journal behind, and the next run starts by undoing what is in it. Every undo can be repeated.
 */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { replaceFile } from "../../lib/durable-file";

/** How to undo one change. A config value of null means the stack's own value. */
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

  /** Removes the newest entry. */
  drop(): void {
    this.write(this.read().slice(0, -1));
  }

  private read(): Undo[] {
    return existsSync(this.file) ? (JSON.parse(readFileSync(this.file, "utf8")) as Undo[]) : [];
  }

  private write(entries: readonly Undo[]): void {
    if (!entries.length) return rmSync(this.file, { force: true });
    replaceFile(this.file, JSON.stringify(entries, null, 2), { mode: 0o600 });
  }
}
