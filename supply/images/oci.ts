/**
 * Writes container images as the files that a registry serves, <root>/v2/<name>/manifests/<reference> and
 * <root>/v2/<name>/blobs/<digest>, so that any web server can act as a registry to pull from.
 * @see https://github.com/opencontainers/image-spec and https://github.com/opencontainers/distribution-spec
 */
import { createHash } from "node:crypto";
import { mkdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { hostArchitecture } from "../../lib/architecture";
import { sha256Of } from "../../lib/cache";
import { linkInto } from "../../lib/link";
import { run } from "../../lib/run";

/** The parts of an image's name, such as registry.k8s.io/coredns/coredns:v1.14.0. */
export interface Reference {
  /** The registry's host, such as registry.k8s.io; docker.io if the name has none. */
  readonly registry: string;
  /** Path in the registry, as used by its API and by mirrors: coredns/coredns, library/busybox. */
  readonly repository: string;
  readonly tag: string;
}

/** A name as people type it, with the tag that it implies: nginx -> nginx:latest. Pure. */
export const withTag = (name: string): string => (/:\w[\w.-]*$/.test(name) ? name : `${name}:latest`);

/** Parses an image's name. Pure. @throws if the name has no tag: `latest` is not a version. */
export function parseReference(name: string): Reference {
  const match = /^(?:(localhost|[a-z0-9-]+[.:][a-z0-9.:-]*)\/)?([a-z0-9]+(?:[._/-]+[a-z0-9]+)*):(\w[\w.-]*)$/.exec(
    name,
  );
  const [, registry = "docker.io", path = "", tag = ""] = match ?? [];
  if (!match) throw new Error(`"${name}" is not an image name with a tag, such as registry.k8s.io/pause:3.10.1`);
  const repository = registry === "docker.io" && !path.includes("/") ? `library/${path}` : path;
  return { registry, repository, tag };
}

/** How an image's process is started, as in the image specification. */
export interface ImageConfig {
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Env?: readonly string[];
  readonly User?: string;
  readonly WorkingDir?: string;
}

export const mediaType = {
  manifest: "application/vnd.oci.image.manifest.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  // uncompressed: the mirror is on this host, so compression would only cost time
  layer: "application/vnd.oci.image.layer.v1.tar",
} as const;

/** The directory of a repository in a registry tree. */
export const repositoryDir = (root: string, reference: Reference): string => join(root, "v2", reference.repository);

/** A layer as an image's manifest lists it, the digest of its uncompressed content, and the file with the blob. */
export interface Layer extends Blob {
  readonly mediaType: string;
  readonly diffId: string;
  readonly file: string;
}

/** The layers of an image in a registry tree, from the lowest up. */
export async function layersOf(reference: Reference, root: string): Promise<Layer[]> {
  const directory = repositoryDir(root, reference);
  const blob = (digest: string): string => join(directory, "blobs", digest);
  const read = async (file: string): Promise<unknown> => JSON.parse(await readFile(file, "utf8")) as unknown;
  const { config, layers } = (await read(join(directory, "manifests", reference.tag))) as Manifest;
  const { rootfs } = (await read(blob(config.digest))) as { rootfs: { diff_ids: string[] } };
  return layers.map((layer, index) => ({ ...layer, diffId: rootfs.diff_ids[index] ?? "", file: blob(layer.digest) }));
}

/**
 * Writes an image for this machine's architecture, with one layer of its own.
 * @param content directory that becomes the image's root directory; everything in the image is owned by root.
 * @param root the registry tree.
 * @param base layers below that one.
 */
export async function writeImage(
  reference: Reference,
  content: string,
  config: ImageConfig,
  root: string,
  base: readonly Layer[] = [],
): Promise<void> {
  const blobs = join(repositoryDir(root, reference), "blobs");
  await mkdir(blobs, { recursive: true });

  for (const { file, digest } of base) await linkInto(file, join(blobs, digest));
  const own = await writeLayer(content, blobs);
  const layers = [...base, { ...own, mediaType: mediaType.layer, diffId: own.digest }];
  const image = {
    architecture: hostArchitecture,
    os: "linux",
    config,
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
    history: [{ created_by: "kubernetes-from-scratch" }],
  };
  const described = layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size }));
  await writeManifest(reference, await writeJson(image, blobs), described, root);
}

/** Writes an image's manifest, by digest and by tag, when its blobs are there. */
export async function writeManifest(
  reference: Reference,
  config: Blob,
  layers: Manifest["layers"],
  root: string,
): Promise<void> {
  const directory = join(repositoryDir(root, reference), "manifests");
  await mkdir(directory, { recursive: true });
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaType.manifest,
    config: { mediaType: mediaType.config, ...config },
    layers,
  };
  await writeJson(manifest, directory);
  await writeFile(join(directory, reference.tag), JSON.stringify(manifest));
}

/** What an image consists of. */
interface Manifest {
  readonly config: Blob;
  readonly layers: readonly (Blob & { readonly mediaType: string })[];
}

/** What a manifest says about a blob. */
export interface Blob {
  readonly digest: string;
  readonly size: number;
}

async function writeLayer(content: string, directory: string): Promise<Blob> {
  const file = join(directory, "layer");
  await run("tar", [
    "--sort=name",
    "--owner=0",
    "--group=0",
    "--numeric-owner",
    "--mtime=@0",
    "-cf",
    file,
    "-C",
    content,
    ".",
  ]);
  const digest = `sha256:${await sha256Of(file)}`;
  await rename(file, join(directory, digest));
  return { digest, size: (await stat(join(directory, digest))).size };
}

async function writeJson(value: object, directory: string): Promise<Blob> {
  const text = JSON.stringify(value);
  const digest = `sha256:${createHash("sha256").update(text).digest("hex")}`;
  await writeFile(join(directory, digest), text);
  return { digest, size: Buffer.byteLength(text) };
}
