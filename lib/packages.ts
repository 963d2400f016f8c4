/** Debian packages that builds depend on. */
import { progress } from "./progress";
import { UserError } from "./errors";
import { aptInstall, tryRun } from "./run";

/**
 * Ensures that the Debian packages a build needs are installed.
 * @throws UserError with the command to run, if this process may not install packages or the installation fails.
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
    throw new UserError(
      `A build needs Debian packages that are not installed: ${missing.join(", ")}.`,
      `Run: ${command}`,
    );
  }
  const failure = await progress(`installing ${missing.join(", ")}`, () => aptInstall(missing));
  if (failure === undefined) return;
  const reason = failure.trim().split("\n").slice(-5).join("\n");
  throw new UserError(`Installing ${missing.join(", ")} failed:\n${reason}\n`, `Run: ${command}`);
}
