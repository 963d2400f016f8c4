/**
 * The release mirror: <directory>/<host>/<path> of every file that a cluster downloads, with the sums beside them as the
 * origin publishes them. Downloaded and verified where the origin answers, otherwise built from the same versions' source.
 */
import { createReadStream, existsSync, statSync } from "node:fs";
import { chmod, copyFile, link, mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createWriteStream } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { execa } from "execa";
import type { Architecture, Release } from "../../bootstrap/versions";
import { cached, cacheRoot, sha256Of } from "../cache";
import { progress } from "../progress";
import { aptInstall, tryRun } from "../run";
import { UserError } from "../names";
import { goBuild } from "./go-build";
import { componentOf, type Component } from "./recipes";

/** Path of a URL inside a mirror: <host>/<path>. */
export const mirrorPath = (url: string): string => url.replace(/^https?:\/\//, "");

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
    const group = groups.get(component.name) ?? { component, version, files: [] };
    group.files.push(release);
    groups.set(component.name, group);
  }
  for (const { component, version, files } of groups.values()) {
    const entry = await cached({
      name: `release-${component.name}-${architecture}`,
      version,
      recipe: JSON.stringify({ component, files }),
      build: (into) => obtain(component, version, files, into),
    });
    for (const { url, checksum } of files)
      for (const path of [mirrorPath(url), mirrorPath(checksum)]) await place(join(entry, path), join(directory, path));
  }
  return directory;
}

async function obtain(component: Component, version: string, files: readonly Release[], into: string): Promise<void> {
  if (await answers(files[0]?.checksum ?? "")) {
    await progress(`downloading ${component.name} ${version}`, async () => {
      for (const release of files) await download(release, into);
    });
  } else {
    await ensurePackages(component.packages ?? []);
    await progress(`building ${component.name} ${version} (its download cannot be reached)`, () =>
      build(component, files, into),
    );
  }
}

const reachable = new Map<string, Promise<boolean>>();

/** Whether a download's host answers; asked once a run. */
function answers(url: string): Promise<boolean> {
  const { host } = new URL(url);
  const known = reachable.get(host);
  if (known) return known;
  const asked = fetch(url, { method: "HEAD", signal: AbortSignal.timeout(4000) }).then(
    (response) => response.ok,
    () => false,
  );
  reachable.set(host, asked);
  return asked;
}

async function download({ url, checksum }: Release, into: string): Promise<void> {
  for (const source of [checksum, url]) {
    const target = join(into, mirrorPath(source));
    await mkdir(dirname(target), { recursive: true });
    const response = await fetch(source);
    if (!response.ok || !response.body) throw new Error(`${source}: HTTP ${response.status}`);
    await pipeline(Readable.fromWeb(response.body), createWriteStream(target));
  }
  const published = publishedSum(await readFile(join(into, mirrorPath(checksum)), "utf8"), basename(url));
  const got = await sha256Of(join(into, mirrorPath(url)));
  if (got !== published) throw new Error(`${url}: SHA-256 is ${got}, published is ${published ?? "none"}`);
}

/** The sum of a file in what an origin publishes: one sum alone, or lines of sum and name. Pure. */
export function publishedSum(text: string, file: string): string | undefined {
  for (const line of text.split("\n")) {
    const [sum, name] = line.trim().split(/\s+/);
    if (sum && (name === undefined || name.replace(/^\*/, "") === file)) return sum;
  }
  return undefined;
}

async function build(component: Component, files: readonly Release[], into: string): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), "kfs-release-"));
  try {
    await goBuild(component.build, work);
    for (const { name, url, checksum } of files) {
      const target = join(into, mirrorPath(url));
      await mkdir(dirname(target), { recursive: true });
      const layout = component.files[name];
      if (layout === "binary") await copyFile(join(work, name), target);
      else await archive(work, layout ?? {}, target);
      await chmod(target, 0o755);
      await publish(target, join(into, mirrorPath(checksum)));
    }
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Writes an archive with the binaries under the names that upstream gives them. */
async function archive(work: string, layout: Readonly<Record<string, string>>, target: string): Promise<void> {
  const tree = await mkdtemp(join(tmpdir(), "kfs-archive-"));
  try {
    for (const [binary, path] of Object.entries(layout)) {
      await mkdir(dirname(join(tree, path)), { recursive: true });
      await rename(join(work, binary), join(tree, path)).catch(() => copyFile(join(work, binary), join(tree, path)));
    }
    const names = [...new Set(Object.values(layout).map((path) => path.replace(/^\.\//, "").split("/")[0] ?? path))];
    const options = ["--sort=name", "--owner=0", "--group=0", "--mtime=@0", "--use-compress-program=gzip -1 -n"];
    await execa("tar", [...options, "-cf", target, "-C", tree, ...names]);
  } finally {
    await rm(tree, { recursive: true, force: true });
  }
}

/** Adds a file's sum to its sums file, in upstream's format. */
async function publish(file: string, sums: string): Promise<void> {
  const sum = await sha256Of(file);
  const alone = basename(sums) === `${basename(file)}.sha256` && !file.endsWith("gz");
  const earlier = existsSync(sums) ? await readFile(sums, "utf8") : "";
  await writeFile(sums, alone ? sum : `${earlier}${sum}  ${basename(file)}\n`);
}

/** Links a file of a cache entry into the mirror, replacing what is not the same. */
async function place(source: string, target: string): Promise<void> {
  if (existsSync(target) && statSync(target).ino === statSync(source).ino) return;
  await mkdir(dirname(target), { recursive: true });
  await rm(`${target}.new`, { force: true });
  await link(source, `${target}.new`).catch(async () => {
    await pipeline(createReadStream(source), createWriteStream(`${target}.new`, { mode: 0o755 }));
  });
  await rename(`${target}.new`, target);
}

async function ensurePackages(packages: readonly string[]): Promise<void> {
  const missing: string[] = [];
  for (const name of packages) {
    const { exitCode, stdout } = await tryRun("dpkg-query", ["-W", "-f", "${Status}", name]);
    if (exitCode !== 0 || !stdout.includes("ok installed")) missing.push(name);
  }
  if (missing.length === 0) return;
  const fault = await progress(`installing ${missing.join(", ")}`, () => aptInstall(missing));
  if (fault !== undefined)
    throw new UserError(
      `The packages ${missing.join(", ")} are needed to build.`,
      `sudo apt-get install ${missing.join(" ")}`,
    );
}
