/** What a run needs beside the checkout's own packages: Pulumi with its plugins, kubectl, releases and images. */
import { mkdir, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { images, kubernetesBinaries, releases } from "../cluster/versions";
import { cacheRoot } from "../lib/cache";
import { ensureImages } from "../supply/images";
import { ensurePulumi } from "../supply/pulumi";
import { ensureReleases, mirrorPath } from "../supply/releases";
import { labDir, stackDir } from "./places";
import { checkedConfig, localPort, type Overrides } from "./stack-config";

/** Executables of the reader's machine, and the environment in which Pulumi runs. */
export interface Toolchain {
  readonly pulumi: string;
  /** In front of PATH. */
  readonly binDirs: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/** @throws UserError where a part can neither be downloaded nor built. */
export async function ensureToolchain(stack: string): Promise<Toolchain> {
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

const host = process.arch === "arm64" ? "arm64" : "amd64";

/** Files and images that the machines of a local stack fetch from the mirror. */
export async function ensureReleasesFor(
  stack: string,
  overrides: Overrides,
): Promise<{ releasesDir: string; registryDir: string }> {
  const releasesDir = await ensureReleases(Object.values(releases(checkedConfig(stack, overrides), host)), host);
  const registryDir = await ensureImagesFor(Object.values(images));
  return { releasesDir, registryDir };
}

/** Makes the registry of the local cloud hold these images. */
export async function ensureImagesFor(names: readonly string[]): Promise<string> {
  const { registryDir } = await ensureImages(names);
  return registryDir;
}

/** kubectl of a stack's own version, linked into the stack's folder of executables; its path. */
export async function ensureKubectl(stack: string): Promise<string> {
  const all = releases(checkedConfig(stack), host);
  const { kubectl } = all;
  // a local stack has the whole release by now; for one on AWS, kubectl alone is fetched
  const wanted = localPort(stack) === undefined ? [kubectl] : kubernetesBinaries.map((name) => all[name]);
  const mirror = await ensureReleases(wanted, host);
  const link = join(stackBin(stack), "kubectl");
  await mkdir(stackBin(stack), { recursive: true });
  await rm(link, { force: true });
  await symlink(join(mirror, mirrorPath(kubectl.url)), link);
  return link;
}

const stackBin = (stack: string): string => join(stackDir(stack), "bin");
