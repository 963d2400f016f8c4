/** Root directories of images, made of Debian's packages instead of a base image. */
import { chmod, copyFile, lstat, mkdir, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ensurePackages } from "../../../lib/packages";
import { run } from "../../../lib/run";
import type { ImageConfig } from "../oci";

export type DebianRelease = "bookworm" | "trixie";

/** What the scripts of packages would have set up. */
const accounts: Readonly<Record<string, string>> = {
  "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
  "etc/group": "root:x:0:\nnobody:x:65534:\n",
  "etc/nsswitch.conf": "hosts: files dns\n",
};

/** What every image with busybox depends on, as a part of recipes. */
export const busyboxRecipe = JSON.stringify(accounts);

/** How an image is started that consists of busybox. */
export const busyboxConfig: ImageConfig = { Cmd: ["sh"], Env: ["PATH=/bin"], WorkingDir: "/" };

/**
 * Fills an empty directory with packages and what they depend on. Their scripts do not run, and documentation is left out.
 * @param root must not contain anything.
 */
export async function extractPackages(
  release: DebianRelease,
  packages: readonly string[],
  root: string,
): Promise<void> {
  await ensurePackages(["mmdebstrap", "debian-archive-keyring"]);
  await run("mmdebstrap", ["--quiet", "--variant=extract", `--include=${packages.join(",")}`, release, root]);
  for (const part of ["doc", "info", "locale", "man", "bash-completion"])
    await rm(join(root, "usr/share", part), { recursive: true, force: true });
  // the first three are this machine's
  for (const path of ["etc/hostname", "etc/resolv.conf", "etc/fstab", "var/cache", "var/lib/apt", "dev"])
    await rm(join(root, path), { recursive: true, force: true });
}

/**
 * Fetches the archive of a package's source as upstream published it, which Debian's patches are not part of.
 * @param scratch an existing directory.
 * @returns the archive.
 */
export async function fetchSource(release: DebianRelease, name: string, scratch: string): Promise<string> {
  await ensurePackages(["mmdebstrap", "debian-archive-keyring"]);
  const directory = join(scratch, `${name}-source`);
  await mkdir(directory);
  await run("mmdebstrap", [
    ...["--quiet", "--variant=extract", "--include=base-files"],
    `--setup-hook=sed 's/^deb /deb-src /' "$1/etc/apt/sources.list" >>"$1/etc/apt/sources.list.d/source.list"`,
    `--extract-hook=cd '${directory}' && APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get source --download-only --tar-only ${name}`,
    ...[release, join(scratch, `${name}-apt`)],
  ]);
  const archive = (await readdir(directory)).find((file) => file.includes(".orig.tar."));
  if (archive === undefined) throw new Error(`the source of Debian's ${name} has no archive of upstream's`);
  return join(directory, archive);
}

/**
 * Adds busybox-static, with a link for each of its programs that the directory does not have yet, and users. An empty
 * directory becomes what the image busybox is.
 */
export async function addBusybox(release: DebianRelease, root: string, scratch: string): Promise<void> {
  const extracted = join(scratch, "busybox");
  await extractPackages(release, ["busybox-static"], extracted);
  await installBusybox(join(extracted, release === "bookworm" ? "bin/busybox" : "usr/bin/busybox"), root);
}

/** Adds a program busybox. */
export async function installBusybox(program: string, root: string): Promise<void> {
  for (const directory of ["bin", "etc", "root", "tmp"]) await mkdir(join(root, directory), { recursive: true });
  const binary = join(root, "bin/busybox");
  await copyFile(program, binary);
  await chmod(join(root, "tmp"), 0o1777);
  const present = new Set<string>();
  for (const directory of ["bin", "sbin", "usr/bin", "usr/sbin"])
    for (const name of await readdir(join(root, directory)).catch(() => [])) present.add(name);
  for (const applet of (await run(binary, ["--list"])).trim().split("\n"))
    if (!present.has(applet)) await symlink("busybox", join(root, "bin", applet));
  for (const [path, text] of Object.entries(accounts)) await writeFile(join(root, path), text);
}

/** Makes a name of a program another one's, whether it exists or not. */
export async function linkProgram(target: string, link: string): Promise<void> {
  if ((await lstat(link).catch(() => undefined)) !== undefined) await rm(link);
  await symlink(target, link);
}
