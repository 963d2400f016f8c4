/**
 * Writes container images as the files that a registry serves: <root>/v2/<name>/manifests/<reference> and
 * <root>/v2/<name>/blobs/<digest>, so that any web server is a registry to pull from.
 * @see https://github.com/opencontainers/image-spec and https://github.com/opencontainers/distribution-spec
 */
import { createHash } from "node:crypto";
import { mkdir, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { sha256Of } from "../../lib/cache";
import { run } from "../../lib/run";

/** An image's name, taken apart: registry.k8s.io/coredns/coredns:v1.14.0. */
export interface Reference {
  /** Host of the registry: registry.k8s.io; docker.io where the name has none. */
  readonly registry: string;
  /** Path within the registry, as its API and a mirror are asked for it: coredns/coredns, library/busybox. */
  readonly repository: string;
  readonly tag: string;
}

/** Takes an image's name apart. Pure. @throws where the name has no tag: `latest` is not a version. */
export function parseReference(name: string): Reference {
  const match = /^(?:([a-z0-9-]+[.:][a-z0-9.:-]*)\/)?([a-z0-9]+(?:[._/-]+[a-z0-9]+)*):(\w[\w.-]*)$/.exec(name);
  const [, registry = "docker.io", path = "", tag = ""] = match ?? [];
  if (!match) throw new Error(`"${name}" is not the name of an image with a tag, such as registry.k8s.io/pause:3.10.1`);
  const repository = registry === "docker.io" && !path.includes("/") ? `library/${path}` : path;
  return { registry, repository, tag };
}

/** What an image's processes start with, as in the image specification. */
export interface ImageConfig {
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Env?: readonly string[];
  readonly User?: string;
  readonly WorkingDir?: string;
}

const mediaType = {
  manifest: "application/vnd.oci.image.manifest.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  // not compressed: the mirror is on this host, and nodes need not unpack what was only packed
  layer: "application/vnd.oci.image.layer.v1.tar",
} as const;

/** The directory of a repository within a registry's tree. */
export const repositoryDir = (root: string, reference: Reference): string => join(root, "v2", reference.repository);

/**
 * Writes an image of one platform with one layer.
 * @param content directory that becomes the image's root; everything in it is owned by root.
 * @param root the registry's tree.
 */
export async function writeImage(
  reference: Reference,
  content: string,
  config: ImageConfig,
  root: string,
): Promise<void> {
  const directory = repositoryDir(root, reference);
  await mkdir(join(directory, "blobs"), { recursive: true });
  await mkdir(join(directory, "manifests"), { recursive: true });

  const layer = await writeLayer(content, join(directory, "blobs"));
  const image = {
    architecture: process.arch === "arm64" ? "arm64" : "amd64",
    os: "linux",
    config,
    rootfs: { type: "layers", diff_ids: [layer.digest] },
    history: [{ created_by: "kubernetes-from-scratch" }],
  };
  const configBlob = await writeJson(image, join(directory, "blobs"));
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaType.manifest,
    config: { mediaType: mediaType.config, ...configBlob },
    layers: [{ mediaType: mediaType.layer, ...layer }],
  };
  await writeJson(manifest, join(directory, "manifests"));
  await writeFile(join(directory, "manifests", reference.tag), JSON.stringify(manifest));
}

/** A blob as manifests name it. */
interface Blob {
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
