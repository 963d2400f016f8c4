/**
 * Takes images out of an archive, as `docker save` and `podman save` write it, into the files that a registry serves.
 * @see https://github.com/moby/docker-image-spec, "Combined Image JSON + Filesystem Changeset Format"
 */
import { createHash } from "node:crypto";
import { mkdir, open, readFile, realpath, stat, writeFile } from "node:fs/promises";
import { join, sep } from "node:path";
import { hostArchitecture } from "../../lib/architecture";
import { sha256Of } from "../../lib/cache";
import { UserError } from "../../lib/errors";
import { linkInto } from "../../lib/link";
import { tryRun } from "../../lib/run";
import { mediaType, parseReference, type Reference, repositoryDir, writeManifest } from "./oci";

/** One image of an archive, as its manifest.json lists it. Paths are relative to the archive. */
interface Saved {
  readonly Config: string;
  readonly RepoTags?: readonly string[] | null;
  readonly Layers: readonly string[];
}

/**
 * Writes an archive's images into a registry tree.
 * @param scratch an existing, empty directory on the same file system as the tree.
 * @param name for an archive with one image: its name, instead of those in the archive.
 * @returns the images' names.
 * @throws UserError if the archive is no archive of images, or has none for this machine.
 */
export async function unpackArchive(archive: string, scratch: string, root: string, name?: string): Promise<string[]> {
  const { exitCode, all } = await tryRun("tar", ["-xf", archive, "-C", scratch]);
  if (exitCode !== 0) throw new UserError(`${archive} cannot be read: ${all.trim().split("\n")[0]}`);
  const images = await savedImages(archive, scratch);
  if (name !== undefined && images.length !== 1)
    throw new UserError(`${archive} has ${images.length} images, which cannot all be ${name}.`, "Leave out IMAGE=.");
  const names: string[] = [];
  for (const image of images) {
    const tags = name === undefined ? (image.RepoTags ?? []) : [name];
    if (tags.length === 0) throw new UserError(`${archive} has an image without a name.`, "Give it one with IMAGE=.");
    for (const tag of tags) await write(image, parseReference(tag), archive, scratch, root);
    names.push(...tags);
  }
  return names;
}

async function savedImages(archive: string, directory: string): Promise<Saved[]> {
  try {
    return JSON.parse(await readFile(join(directory, "manifest.json"), "utf8")) as Saved[];
  } catch {
    throw new UserError(
      `${archive} is not an archive of images: it has no manifest.json.`,
      "Make one with: docker save --output image.tar NAME",
    );
  }
}

/** A file of the archive. Links may lead to other files of it (older ones link layers that are the same), but not out of it. */
async function fileIn(archive: string, directory: string, path: string): Promise<string> {
  const file = await realpath(join(directory, path)).catch(() => undefined);
  if (file?.startsWith((await realpath(directory)) + sep)) return file;
  throw new UserError(`${archive} is damaged: its manifest.json names ${path}, which it does not contain.`);
}

async function write(image: Saved, reference: Reference, archive: string, from: string, root: string): Promise<void> {
  const blobs = join(repositoryDir(root, reference), "blobs");
  await mkdir(blobs, { recursive: true });
  const add = async (path: string): Promise<{ digest: string; size: number }> => {
    const file = await fileIn(archive, from, path);
    const digest = `sha256:${await sha256Of(file)}`;
    await linkInto(file, join(blobs, digest));
    return { digest, size: (await stat(file)).size };
  };
  const config = await readFile(await fileIn(archive, from, image.Config), "utf8");
  const { architecture } = JSON.parse(config) as { architecture?: string };
  if (architecture !== hostArchitecture)
    throw new UserError(`The image in ${archive} is for ${architecture}, but this machine is ${hostArchitecture}.`);
  const configBlob = {
    digest: `sha256:${createHash("sha256").update(config).digest("hex")}`,
    size: Buffer.byteLength(config),
  };
  await writeFile(join(blobs, configBlob.digest), config);
  const layers = [];
  for (const layer of image.Layers)
    layers.push({ mediaType: await layerType(await fileIn(archive, from, layer)), ...(await add(layer)) });
  await writeManifest(reference, configBlob, layers, root);
}

/** Archives hold layers as they are stored: plain or compressed. */
async function layerType(file: string): Promise<string> {
  const handle = await open(file);
  const { buffer } = await handle.read(Buffer.alloc(4), 0, 4, 0);
  await handle.close();
  const magic = buffer.toString("hex");
  if (magic.startsWith("1f8b")) return `${mediaType.layer}+gzip`;
  return magic === "28b52ffd" ? `${mediaType.layer}+zstd` : mediaType.layer;
}
