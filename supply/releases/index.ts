/**
 * The release mirror: <directory>/<host>/<path> of every file that a cluster downloads, with the sums beside them as the
 * origin publishes them. Downloaded and verified where the origin answers, otherwise built from the same versions' source.
 */
import { createWriteStream, existsSync } from "node:fs";
import { chmod, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Architecture } from "../../cluster/instance-types";
import type { Release } from "../../cluster/versions";
import { cached, cacheRoot, sha256Of } from "../../lib/cache";
import { linkInto } from "../../lib/link";
import { UserError } from "../../lib/errors";
import { ensurePackages } from "../../lib/packages";
import { progress } from "../../lib/progress";
import { reachable } from "../../lib/reachable";
import { run } from "../../lib/run";
import { goBuild } from "../go-build";
import { type Component, componentOf } from "./recipes";
import { publishedSum } from "./sums";

/** Path of a URL inside a mirror: <host>/<path>. */
export const mirrorPath = (url: string): string => url.replace(/^https?:\/\//, "");

/** Changes with the way in which files are packed, so that what was packed otherwise is made anew. */
const packing = 2;

/** A tag such as v1.36.3 in a release's URL; every upstream puts it in a path element of its own. */
const versionIn = (url: string): string => /\/(v\d+\.\d+\.\d+)\//.exec(url)?.[1] ?? "unknown";

/**
 * Makes the mirror hold these files.
 * @returns the mirror's directory, shared by all versions that were ever asked for.
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
    await progress(`building ${what} (its download cannot be reached)`, () => build(group, into, scratch));
  }
}

/** Downloads a file and the sums that its origin publishes, and compares them. */
async function download({ url, checksum }: Release, into: string): Promise<void> {
  for (const source of [checksum, url]) {
    const target = join(into, mirrorPath(source));
    await mkdir(dirname(target), { recursive: true });
    const response = await fetch(source);
    if (!response.ok || !response.body) {
      throw new UserError(
        `${source} cannot be downloaded: HTTP ${response.status}.`,
        "Is the version one that was released?",
      );
    }
    const mode = source === url ? 0o755 : 0o644;
    await pipeline(Readable.fromWeb(response.body), createWriteStream(target, { mode }));
  }
  const published = publishedSum(await readFile(join(into, mirrorPath(checksum)), "utf8"), basename(url));
  const got = await sha256Of(join(into, mirrorPath(url)));
  if (got !== published) {
    throw new UserError(
      `What was downloaded from ${url} has the SHA-256 ${got}; its origin publishes ${published ?? "none"} (${checksum}).`,
      "Run the same again; if it stays, what stands between this machine and the origin changes files.",
    );
  }
}

async function build({ component, architecture, files }: Group, into: string, scratch: string): Promise<void> {
  const binaries = join(scratch, "binaries");
  // of a component of plain binaries, those alone that were asked for
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

/** Writes an archive with the binaries under the names that upstream gives them, laid out in `tree` first. */
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

/** Adds a file's sum to its sums file, in upstream's format. */
async function publish(file: string, sums: string): Promise<void> {
  const sum = await sha256Of(file);
  const alone = basename(sums) === `${basename(file)}.sha256` && !file.endsWith("gz");
  const earlier = existsSync(sums) ? await readFile(sums, "utf8") : "";
  await writeFile(sums, alone ? sum : `${earlier}${sum}  ${basename(file)}\n`);
}
