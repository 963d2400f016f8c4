/**
 * The Pulumi engine with its language host and plugins: the reader's own, or the official ones where they can be
 * downloaded, otherwise built from Go modules. The versions are those of the npm packages in package.json.
 */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { cached } from "../../lib/cache";
import { progress } from "../../lib/progress";
import { reachable } from "../../lib/reachable";
import { tryRun } from "../../lib/run";
import { buildEngine, builtEngine, engineRecipe } from "./built";
import { archiveUrl, downloadEngine } from "./official";
import { ensureTerraformAws } from "./terraform-aws";
import { sdkVersion } from "./versions";

/** How Pulumi is called. */
export interface Engine {
  /** Directory with `pulumi`, in front of PATH. */
  readonly binDir: string;
  /** Environment for every call. */
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * Makes `pulumi` with its plugins ready for this checkout.
 * @param home directory of the checkout's own PULUMI_HOME and executables, where they are built.
 * @throws UserError where neither the official engine nor a build can be had.
 */
export async function ensureEngine(home: string): Promise<Engine> {
  const own = await installed(home);
  if (own) return { binDir: own, environment: {} };

  const entry = await cached({
    name: "pulumi",
    version: sdkVersion("pulumi"),
    recipe: JSON.stringify([archiveUrl, engineRecipe]),
    build: async (into, scratch) => {
      const version = sdkVersion("pulumi");
      if (await reachable(archiveUrl)) {
        await progress(`downloading Pulumi ${version}`, () => downloadEngine(into));
      } else {
        await ensureTerraformAws(home); // what cannot be built is missed before minutes are spent on what can
        const label = `building the Pulumi engine ${version} (its download cannot be reached)`;
        await progress(label, () => buildEngine(into, scratch));
      }
    },
  });
  // the official engine comes with its language host, and downloads the plugins that a program asks for
  const official = existsSync(join(entry, "pulumi-language-nodejs"));
  return official ? { binDir: entry, environment: {} } : builtEngine(entry, home);
}

/** How many minor releases the reader's own engine may be older than the SDK. */
const TOLERANCE = 60;

/** The reader's own Pulumi, where it is complete and not too old; not what an earlier run put into `home`. */
async function installed(home: string): Promise<string | undefined> {
  const path = (await tryRun("sh", ["-c", "command -v pulumi"])).stdout.trim();
  if (!path || path.startsWith(home) || !existsSync(join(dirname(path), "pulumi-language-nodejs"))) return undefined;
  const minor = (version: string): number => Number(version.split(".")[1]);
  const version = (await tryRun(path, ["version"])).stdout.trim();
  return minor(version) >= minor(sdkVersion("pulumi")) - TOLERANCE ? dirname(path) : undefined;
}
