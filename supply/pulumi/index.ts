/**
 * Pulumi with its language host and plugins: the user's own installation or the official release if either is
 * available, otherwise a build from Go modules. The versions are those of the npm packages in package.json.
 */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { cached } from "../../lib/cache";
import { progress } from "../../lib/progress";
import { reachable } from "../../lib/reachable";
import { tryRun } from "../../lib/run";
import { buildEngine, engineRecipe, installBuilt } from "./built";
import { archiveUrl, downloadPulumi } from "./official";
import type { Pulumi } from "./pulumi";
import { ensureTerraformAws } from "./terraform-aws";
import { sdkVersion } from "./versions";

/**
 * Ensures that `pulumi` and its plugins are available to this checkout.
 * @param home directory for this checkout's PULUMI_HOME and executables, if they are built.
 * @throws UserError if Pulumi can be neither downloaded nor built.
 */
export async function ensurePulumi(home: string): Promise<Pulumi> {
  const own = await installed(home);
  if (own) return { binDir: own, environment: {} };

  const version = sdkVersion("pulumi");
  const entry = await cached({
    name: "pulumi",
    version,
    recipe: JSON.stringify([archiveUrl, engineRecipe]),
    build: async (into, scratch) => {
      if (await reachable(archiveUrl)) {
        await progress(`downloading Pulumi ${version}`, () => downloadPulumi(into));
      } else {
        await ensureTerraformAws(home); // cannot be built: fail before spending minutes on the engine
        const label = `building the Pulumi engine ${version} (its download site cannot be reached)`;
        await progress(label, () => buildEngine(into, scratch));
      }
    },
  });
  // the official release includes the language host and downloads the plugins that a program needs
  const official = existsSync(join(entry, "pulumi-language-nodejs"));
  return official ? { binDir: entry, environment: {} } : installBuilt(entry, home);
}

/** How many minor releases the user's own Pulumi may be behind the SDK. */
const TOLERANCE = 60;

/**
 * Directory of the user's own Pulumi, if it is complete, recent enough, and not what an earlier run put into `home`.
 */
async function installed(home: string): Promise<string | undefined> {
  const path = (await tryRun("sh", ["-c", "command -v pulumi"])).stdout.trim();
  if (!path || path.startsWith(home) || !existsSync(join(dirname(path), "pulumi-language-nodejs"))) return undefined;
  const minor = (version: string): number => Number(version.split(".")[1]);
  const version = (await tryRun(path, ["version"])).stdout.trim();
  return minor(version) >= minor(sdkVersion("pulumi")) - TOLERANCE ? dirname(path) : undefined;
}
