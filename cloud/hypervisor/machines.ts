/**
 * Which machines have been made, so that one whose container is gone (somebody removed it, or the container engine lost
 * it) is not taken for one that does not exist yet. A machine with an empty disk must never pass for the former one.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { replaceFile } from "../../lib/durable-file";

/** A machine that has been started. */
export interface Made {
  /** When the instance was asked to run, start or reboot, as far as that was carried out. */
  readonly bootedAt: Date;
  /** Whether it has been reported as terminated because its container was gone. */
  readonly isLost: boolean;
}

interface Recorded {
  readonly bootedAt: number;
  readonly isLost?: boolean;
}

export class MadeMachines {
  private readonly known = new Map<string, Made>();

  /** @param directory one file for each instance. */
  constructor(private readonly directory: string) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    for (const id of readdirSync(directory))
      try {
        const { bootedAt, isLost = false } = JSON.parse(readFileSync(join(directory, id), "utf8")) as Recorded;
        this.known.set(id, { bootedAt: new Date(bootedAt), isLost });
      } catch {
        // another file, or left incomplete by a crash: the machine is recorded again when it is seen
      }
  }

  get(id: string): Made | undefined {
    return this.known.get(id);
  }

  record(id: string, made: Made): void {
    const former = this.known.get(id);
    if (former && former.isLost === made.isLost && former.bootedAt.getTime() === made.bootedAt.getTime()) return;
    const recorded: Recorded = { bootedAt: made.bootedAt.getTime(), isLost: made.isLost };
    replaceFile(join(this.directory, id), JSON.stringify(recorded), { mode: 0o600 });
    this.known.set(id, made);
  }

  forget(id: string): void {
    if (!this.known.delete(id)) return;
    rmSync(join(this.directory, id), { force: true });
  }
}
