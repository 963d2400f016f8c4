import { progress } from "./progress";
import { UserError } from "./errors";
import { aptInstall, tryRun } from "./run";

/**
 * Sees to Debian packages that a build needs: installed where they are missing and may be.
 * @throws UserError with the exact command where they may not, or where installing failed.
 */
export async function ensurePackages(packages: readonly string[]): Promise<void> {
  const missing: string[] = [];
  for (const name of packages) {
    const { exitCode, stdout } = await tryRun("dpkg-query", ["-W", "-f", "${Status}", name]);
    if (exitCode !== 0 || !stdout.includes("ok installed")) missing.push(name);
  }
  if (missing.length === 0) return;
  const command = `sudo apt-get install --no-install-recommends ${missing.join(" ")}`;
  if (process.getuid?.() !== 0) {
    throw new UserError(`Debian packages are missing that a build needs: ${missing.join(", ")}.`, `Run: ${command}`);
  }
  const failure = await progress(`installing ${missing.join(", ")}`, () => aptInstall(missing));
  if (failure === undefined) return;
  const reason = failure.trim().split("\n").slice(-5).join("\n");
  throw new UserError(`Installing ${missing.join(", ")} failed:\n${reason}\n`, `Run: ${command}`);
}
