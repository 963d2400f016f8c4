/**
 * The release mirror: every file that a cluster downloads, as <directory>/<host>/<path>, with the checksums that its
 * origin publishes. Files are downloaded and verified if the origin can be reached, otherwise built from source.
 */
import { createWriteStream, existsSync } from "node:fs";
import { chmod, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Architecture } from "../../cluster/instance-types";
import { type Release, testPrograms, testRelease } from "../../cluster/versions";
import { hostArchitecture } from "../../lib/architecture";
import { cached, cacheRoot, sha256Of } from "../../lib/cache";
import { UserError } from "../../lib/errors";
import { linkInto } from "../../lib/link";
import { ensurePackages } from "../../lib/packages";
import { progress } from "../../lib/progress";
import { reachable } from "../../lib/reachable";
import { run } from "../../lib/run";
import { goBuild } from "../go-build";
import { type Component, componentOf } from "./recipes";
import { publishedSum } from "./sums";

/** Path of a URL in a mirror: <host>/<path>. */
export const mirrorPath = (url: string): string => url.replace(/^https?:\/\//, "");

/** Increase this when archives are packed differently, so that existing ones are built again. */
const packing = 2;

/** The version in a release's URL, such as v1.36.3. All upstream URLs have it as a separate path element. */
const versionIn = (url: string): string => /\/(v\d+\.\d+\.\d+)\//.exec(url)?.[1] ?? "unknown";

/**
 * Ensures that the mirror holds these files.
 * @returns the mirror's directory, which all versions share.
 */
export async function ensureReleases(releases: readonly Release[], architecture: Architecture): Promise<string> {
  const directory = join(cacheRoot(), "releases");
  const groups = new Map<string, { component: Component; version: string; files: Release[] }>();
  for (const release of releases) {
    const version = versionIn(release.url);
    const component = componentOf(release.name, version, architecture);
    const key = `${component.name} ${version}`;
    const group = groups.get(key) ?? { component, version, files: [] };
    group.files.push(release);
    groups.set(key, group);
  }
  for (const { component, version, files } of groups.values()) {
    const entry = await cached({
      name: `release-${component.name}-${architecture}`,
      version,
      recipe: JSON.stringify({ component, files, packing }),
      build: (into, scratch) => obtain({ component, version, architecture, files }, into, scratch),
    });
    for (const { url, checksum } of files)
      for (const path of [mirrorPath(url), mirrorPath(checksum)])
        await linkInto(join(entry, path), join(directory, path));
  }
  return directory;
}

/**
 * Ensures that the end-to-end tests of a Kubernetes version can run on this machine.
 * @param version with the leading v.
 * @returns the directory with e2e.test and ginkgo.
 */
export async function ensureTestPrograms(version: string): Promise<string> {
  const release = testRelease(version, hostArchitecture);
  const mirror = await ensureReleases([release], hostArchitecture);
  return cached({
    name: "kubernetes-test-programs",
    version,
    recipe: await readFile(join(mirror, mirrorPath(release.checksum)), "utf8"),
    build: async (into) => {
      const archive = join(mirror, mirrorPath(release.url));
      for (const path of Object.values(testPrograms.files))
        await run("tar", ["-xzf", archive, "-C", into, `--strip-components=${path.split("/").length - 1}`, path]);
    },
  });
}

/** The files of one component at one version. */
interface Group {
  readonly component: Component;
  readonly version: string;
  readonly architecture: Architecture;
  readonly files: readonly Release[];
}

async function obtain(group: Group, into: string, scratch: string): Promise<void> {
  const { component, files } = group;
  const what = `${component.name} ${group.version}`;
  if (await reachable(files[0]?.checksum ?? "")) {
    await progress(`downloading ${what}`, async () => {
      for (const release of files) await download(release, into);
    });
  } else {
    await ensurePackages(component.packages ?? []);
    await progress(`building ${what} (its download site cannot be reached)`, () => build(group, into, scratch));
  }
}

/** Downloads a file and verifies it against the checksums that its origin publishes. */
async function download({ url, checksum }: Release, into: string): Promise<void> {
  for (const source of [checksum, url]) {
    const target = join(into, mirrorPath(source));
    await mkdir(dirname(target), { recursive: true });
    const response = await fetch(source);
    if (!response.ok || !response.body) {
      throw new UserError(
        `${source} cannot be downloaded: HTTP ${response.status}.`,
        "Check that this version was released.",
      );
    }
    const mode = source === url ? 0o755 : 0o644;
    await pipeline(Readable.fromWeb(response.body), createWriteStream(target, { mode }));
  }
  const published = publishedSum(await readFile(join(into, mirrorPath(checksum)), "utf8"), basename(url));
  const got = await sha256Of(join(into, mirrorPath(url)));
  if (got !== published) {
    throw new UserError(
      `The file downloaded from ${url} has the SHA-256 ${got}; its origin publishes ${published ?? "none"} (${checksum}).`,
      "Run the same command again. If the error persists, a proxy on the way to the origin may be altering files.",
    );
  }
}

async function build({ component, architecture, files }: Group, into: string, scratch: string): Promise<void> {
  const binaries = join(scratch, "binaries");
  // if a component's files are plain binaries, build only those requested
  const wanted = (path: string): boolean =>
    !(basename(path) in component.files) || files.some(({ name }) => name === basename(path));
  const packages = component.build.packages.filter(wanted);
  await goBuild({ ...component.build, packages }, binaries, scratch, architecture);
  for (const { name, url, checksum } of files) {
    const target = join(into, mirrorPath(url));
    await mkdir(dirname(target), { recursive: true });
    const layout = component.files[name];
    if (layout === "binary") await rename(join(binaries, name), target);
    else await archive(binaries, layout ?? {}, target, join(scratch, name));
    await chmod(target, 0o755);
    await publish(target, join(into, mirrorPath(checksum)));
  }
}

/** Writes an archive of the binaries with upstream's layout, which is prepared in `tree`. */
async function archive(
  binaries: string,
  layout: Readonly<Record<string, string>>,
  target: string,
  tree: string,
): Promise<void> {
  for (const [binary, path] of Object.entries(layout)) {
    await mkdir(dirname(join(tree, path)), { recursive: true });
    await rename(join(binaries, binary), join(tree, path));
  }
  const names = [...new Set(Object.values(layout).map((path) => path.split("/")[0] ?? path))];
  const options = ["--sort=name", "--owner=0", "--group=0", "--mtime=@0", "--use-compress-program=gzip -1 -n"];
  await run("tar", [...options, "-cf", target, "-C", tree, ...names]);
}

/** Adds a file's checksum to its checksum file, in upstream's format. */
async function publish(file: string, sums: string): Promise<void> {
  const sum = await sha256Of(file);
  const alone = basename(sums) === `${basename(file)}.sha256` && !file.endsWith("gz");
  const earlier = existsSync(sums) ? await readFile(sums, "utf8") : "";
  await writeFile(sums, alone ? sum : `${earlier}${sum}  ${basename(file)}\n`);
}
