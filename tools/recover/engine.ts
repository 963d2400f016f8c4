/** What a killed Pulumi engine leaves behind on this machine: its lock, its providers, a half-written file. */
import { globSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { stateDir } from "../places";
import type { Pulumi } from "../pulumi";
import { locksOn, refuseLocked } from "../pulumi-lock";

/**
 * Makes a local stack usable after its engine was killed. The lock is released only if the process that took it is gone.
 * @throws UserError while another Pulumi command works on the stack.
 */
export async function takeOver(pulumi: Pulumi): Promise<void> {
  const { stack } = pulumi;
  if (!stack.isLocal) return;
  removeBrokenAttributes();
  refuseLocked(stack.name);
  for (const { pid } of locksOn(stack.name)) {
    console.log(`  The last run was interrupted (process ${pid} is gone). Releasing its lock.`);
    endOrphanedProviders();
    await pulumi.cancel();
  }
}

/**
 * Kills the providers of killed engines. They live on for a moment and could still create resources that are in no state.
 * They are recognised by their parent, which is now process 1, and by the backend of this checkout in their environment.
 */
function endOrphanedProviders(): void {
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name)))
    try {
      const [, name, parent] = /\((.*)\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8")) ?? [];
      if (!name?.startsWith("pulumi-resource") || parent !== "1") continue;
      if (readFileSync(`/proc/${pid}/environ`, "utf8").includes(`PULUMI_BACKEND_URL=file://${stateDir}\0`))
        process.kill(Number(pid), "SIGKILL");
    } catch {
      // it has ended in the meantime
    }
}

/**
 * Removes incomplete attribute files. The file backend keeps each file's attributes beside it and writes them in two
 * steps. A kill in between leaves them empty, and then no command can read the state. Without them it can be read; they
 * contain nothing that is needed.
 */
function removeBrokenAttributes(): void {
  for (const file of globSync(join(stateDir, ".pulumi", "stacks", "**", "*.attrs")))
    try {
      JSON.parse(readFileSync(file, "utf8"));
    } catch {
      rmSync(file, { force: true });
    }
}
