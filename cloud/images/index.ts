import { createHash } from "node:crypto";
import { createReadStream, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import Docker from "dockerode";
import { withFileLock } from "../../lib/file-lock";
import { UserError } from "../../lib/errors";
import { progress } from "../../lib/progress";
import { aptInstall, tryRun } from "../../lib/run";
import { cached } from "../../lib/cache";

/** The images that a cloud runs: the machine image (AMI) and the appliances' one. */
export interface Images {
  readonly machine: string;
  readonly appliance: string;
}

/** Builds what is missing with mmdebstrap and imports it into the engine. Answers the images' names. */
export async function ensureMachineImages(docker: Docker): Promise<Images> {
  const [machine, appliance] = await Promise.all([ensureImage(docker, "machine"), ensureImage(docker, "appliance")]);
  return { machine, appliance };
}

async function ensureImage(docker: Docker, kind: "machine" | "appliance"): Promise<string> {
  const scripts = join(__dirname, kind);
  const recipe = readdirSync(scripts)
    .sort()
    .map((file) => readFileSync(join(scripts, file), "utf8"))
    .join("\n");
  const repo = `kubernetes-from-scratch/${kind}`;
  const tag = createHash("sha256").update(recipe).digest("hex").slice(0, 12);
  if (await exists(docker, `${repo}:${tag}`)) return `${repo}:${tag}`;

  const directory = await cached({
    name: `${kind}-image`,
    version: "trixie",
    recipe: `${recipe}\n${process.arch}`,
    build: async (target) => {
      await ensureMmdebstrap();
      const built = await progress(`building the ${kind} image`, () =>
        tryRun("sh", [join(scripts, "build.sh"), join(target, "root.tar")]),
      );
      if (built.exitCode !== 0) throw new Error(`Building the ${kind} image with mmdebstrap failed:\n${built.all}`);
    },
  });
  // One at a time: an import that finds its name taken leaves a nameless image behind.
  await withFileLock(
    join(directory, "..", "locks", `import-${kind}-${tag}`),
    () => undefined,
    async () => {
      if (await exists(docker, `${repo}:${tag}`)) return;
      const imported = await docker.importImage(createReadStream(join(directory, "root.tar")), { repo, tag });
      await new Promise<void>((done, fail) => {
        docker.modem.followProgress(imported, (error: Error | null) => (error ? fail(error) : done()));
      });
    },
  );
  return `${repo}:${tag}`;
}

async function exists(docker: Docker, image: string): Promise<boolean> {
  try {
    await docker.getImage(image).inspect();
    return true;
  } catch {
    return false;
  }
}

async function ensureMmdebstrap(): Promise<void> {
  if ((await tryRun("mmdebstrap", ["--version"])).exitCode === 0) return;
  const failure = await aptInstall(["mmdebstrap", "debian-archive-keyring"]);
  if (failure !== undefined) {
    throw new UserError(
      `Machine images are built with mmdebstrap, and installing it failed:\n${failure}\n`,
      "Install the packages mmdebstrap and debian-archive-keyring.",
    );
  }
}
