/** What a run needs in addition to the checkout's own packages: Pulumi with its plugins, kubectl, releases and images. */
import { mkdir, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { images, kubernetesBinaries, releases } from "../cluster/versions";
import { labImages } from "../labs/images";
import { hostArchitecture } from "../lib/architecture";
import { cacheRoot } from "../lib/cache";
import { ensureImages, ensureOffline } from "../supply/images";
import { tutorialImages } from "../supply/images/recipes";
import { ensurePulumi } from "../supply/pulumi";
import { ensureReleases, mirrorPath } from "../supply/releases";
import { labDir } from "./places";
import type { Stack } from "./stack";

/** Executables on this machine, and the environment in which Pulumi runs. */
export interface Toolchain {
  readonly pulumi: string;
  /** Folders that go in front of PATH. */
  readonly binDirs: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

const stackBin = ({ dir }: Stack): string => join(dir, "bin");

/** @throws UserError if a part can be neither downloaded nor built. */
export async function ensureToolchain(stack: Stack): Promise<Toolchain> {
  const engine = await ensurePulumi(join(labDir, "pulumi"));
  const binDirs = [engine.binDir, stackBin(stack)];
  return {
    pulumi: join(engine.binDir, "pulumi"),
    binDirs,
    environment: {
      ...engine.environment,
      PATH: [...binDirs, process.env["PATH"]].join(":"),
      PULUMI_SKIP_UPDATE_CHECK: "true",
      NODE_COMPILE_CACHE: join(cacheRoot(), "node-compile-cache"),
    },
  };
}

/** Files and images that the machines of a local stack get from its mirror. */
export async function ensureReleasesFor(stack: Stack): Promise<{ releasesDir: string; registryDir: string }> {
  const wanted = Object.values(releases(stack.config(), hostArchitecture));
  const releasesDir = await ensureReleases(wanted, hostArchitecture);
  const registryDir = await ensureImagesFor(Object.values(images));
  await ensureOffline([...tutorialImages, ...labImages]);
  return { releasesDir, registryDir };
}

/** Ensures that the local cloud's registry has these images, and returns its folder. */
export async function ensureImagesFor(names: readonly string[]): Promise<string> {
  const { registryDir } = await ensureImages(names);
  return registryDir;
}

/** Ensures that kubectl, in the stack's version, is in the stack's folder of executables, and returns its path. */
export async function ensureKubectl(stack: Stack): Promise<string> {
  const all = releases(stack.config(), hostArchitecture);
  const { kubectl } = all;
  // a local stack has the whole release by now; for one on AWS, only kubectl is downloaded
  const wanted = stack.isLocal ? kubernetesBinaries.map((name) => all[name]) : [kubectl];
  const mirror = await ensureReleases(wanted, hostArchitecture);
  const link = join(stackBin(stack), "kubectl");
  await mkdir(stackBin(stack), { recursive: true });
  await rm(link, { force: true });
  await symlink(join(mirror, mirrorPath(kubectl.url)), link);
  return link;
}
