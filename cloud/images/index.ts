/** Builds the images of machines and appliances with mmdebstrap, and imports them into the container engine. */
import { createHash } from "node:crypto";
import { createReadStream, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import Docker from "dockerode";
import { withFileLock } from "../../lib/file-lock";
import { UserError } from "../../lib/errors";
import { progress } from "../../lib/progress";
import { aptInstall, tryRun } from "../../lib/run";
import { cached } from "../../lib/cache";
import { brand } from "../names";

/** Names of the images that a cloud runs. */
export interface Images {
  /** The machine image (AMI). */
  readonly machine: string;
  /** The image shared by all appliances. */
  readonly appliance: string;
}

/** Path of machine/boot.sh in the machine image. */
export const BOOT_PROGRAM = `/usr/lib/${brand.name}/boot`;

/** Environment of each image's build.sh; part of what the image depends on. */
const BUILD_ENVIRONMENT: Readonly<Record<keyof Images, Readonly<Record<string, string>>>> = {
  machine: { BOOT_PROGRAM },
  appliance: {},
};

/** Builds and imports whichever image is missing, and returns the names of both. */
export async function ensureMachineImages(docker: Docker): Promise<Images> {
  const [machine, appliance] = await Promise.all([ensureImage(docker, "machine"), ensureImage(docker, "appliance")]);
  return { machine, appliance };
}

async function ensureImage(docker: Docker, kind: keyof Images): Promise<string> {
  const scripts = join(__dirname, kind);
  const env = BUILD_ENVIRONMENT[kind];
  const files = readdirSync(scripts)
    .sort()
    .map((file) => readFileSync(join(scripts, file), "utf8"));
  const recipe = [...files, ...Object.values(env)].join("\n");
  const repo = `${brand.name}/${kind}`;
  const tag = createHash("sha256").update(recipe).digest("hex").slice(0, 12);
  if (await exists(docker, `${repo}:${tag}`)) return `${repo}:${tag}`;

  const directory = await cached({
    name: `${kind}-image`,
    version: "trixie",
    recipe: `${recipe}\n${process.arch}`,
    build: async (target) => {
      await ensureMmdebstrap();
      const built = await progress(`building the ${kind} image`, () =>
        tryRun("sh", [join(scripts, "build.sh"), join(target, "root.tar")], { env }),
      );
      if (built.exitCode !== 0) throw new Error(`Building the ${kind} image with mmdebstrap failed:\n${built.all}`);
    },
  });
  // One import at a time: two imports under the same name would leave one of the images without a name.
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
      `Machine images are built with mmdebstrap, which could not be installed:\n${failure}\n`,
      "Install the packages mmdebstrap and debian-archive-keyring.",
    );
  }
}
