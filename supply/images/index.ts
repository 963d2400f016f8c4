/**
 * The image registry of the local cloud: a tree of plain files that any web server can serve, with the images under
 * their upstream names. Images are pulled if their registry can be reached; otherwise they are built, see recipes.ts.
 */
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { cached, cacheRoot } from "../../lib/cache";
import { linkInto } from "../../lib/link";
import { UserError } from "../../lib/errors";
import { progress } from "../../lib/progress";
import { reachable } from "../../lib/reachable";
import { unpackArchive } from "./archive";
import { layersOf, parseReference, writeImage } from "./oci";
import { pullImage, registryUrl } from "./pull";
import { imageRecipe, recipes } from "./recipes";

const registryDir = (): string => join(cacheRoot(), "registry");

/**
 * Ensures that the registry holds these images. It keeps all images ever requested, and can be served at the same time.
 * @param names full names with tags, such as registry.k8s.io/pause:3.10.1.
 * @returns the directory whose v2/ a web server serves.
 */
export async function ensureImages(names: readonly string[]): Promise<{ registryDir: string }> {
  for (const name of names) await publish(await ensureImage(name), registryDir());
  return { registryDir: registryDir() };
}

/**
 * Ensures that the registry holds these images if the machines that ask for them could not get them elsewhere. An image
 * that is there already stays as it is.
 */
export async function ensureOffline(names: readonly string[]): Promise<void> {
  const present = new Set(await listImages());
  for (const name of names) {
    const reference = parseReference(name);
    if (present.has(`${reference.repository}:${reference.tag}`)) continue;
    if (!(await reachable(registryUrl(reference)))) await publish(await ensureImage(name), registryDir());
  }
}

/**
 * Puts an image into the registry as it is now, in the place of an earlier one of that name: from its own registry if that
 * can be reached, or else built.
 */
export async function addImage(name: string): Promise<void> {
  const reference = parseReference(name);
  if (!(await reachable(registryUrl(reference)))) return publish(await ensureImage(name), registryDir());
  await staged((tree) => progress(`pulling ${name}`, () => pullImage(reference, tree)));
}

/**
 * Puts the images of an archive into the registry, as `docker save` writes it.
 * @param name for an archive with one image: its name, instead of those in the archive.
 * @returns the images' names.
 */
export const addArchive = (archive: string, name?: string): Promise<string[]> =>
  staged((tree, scratch) => unpackArchive(archive, scratch, tree, name));

/** Names of all images in the registry, without the hosts of their own registries. */
export async function listImages(): Promise<string[]> {
  const tree = join(registryDir(), "v2");
  const files = await readdir(tree, { recursive: true }).catch(() => []);
  return files
    .flatMap((file) => {
      const [, repository, tag = ""] = /^(.+)\/manifests\/([^/]+)$/.exec(file) ?? [];
      return repository === undefined || tag.startsWith("sha256:") || tag.endsWith(".new")
        ? []
        : [`${repository}:${tag}`];
    })
    .sort();
}

/** Publishes what a task writes into a tree of its own, so that a task that fails leaves nothing. */
async function staged<T>(task: (tree: string, scratch: string) => Promise<T>): Promise<T> {
  await mkdir(cacheRoot(), { recursive: true });
  const directory = await mkdtemp(join(cacheRoot(), "adding-image-"));
  const [tree, scratch] = [join(directory, "tree"), join(directory, "scratch")];
  try {
    for (const each of [tree, scratch]) await mkdir(each);
    const result = await task(tree, scratch);
    await publish(tree, registryDir());
    return result;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Everything that an image's content depends on, its base's included. */
function keyOf(name: string): string {
  const { repository, tag } = parseReference(name);
  const recipe = imageRecipe(repository, tag);
  const base = recipe?.base === undefined ? [] : [keyOf(recipe.base)];
  return JSON.stringify([name, process.arch, recipe?.recipe, recipe?.config, ...base]);
}

/** The cache entry of one image: a registry tree that contains only this image. */
function ensureImage(name: string): Promise<string> {
  const reference = parseReference(name);
  const recipe = imageRecipe(reference.repository, reference.tag);
  return cached({
    name: `image-${reference.repository.replaceAll("/", "-")}`,
    version: reference.tag,
    recipe: keyOf(name),
    build: async (into, scratch) => {
      if (await reachable(registryUrl(reference))) {
        await progress(`pulling ${name}`, () => pullImage(reference, into));
        return;
      }
      if (!recipe) {
        throw new UserError(
          `The image ${name} is not available: its registry cannot be reached, and there is no recipe to build it.`,
          `Use one of the images that can be built: ${Object.keys(recipes).join(", ")}.`,
        );
      }
      const { base: below } = recipe;
      const base = below === undefined ? [] : await layersOf(parseReference(below), await ensureImage(below));
      const root = join(scratch, "root");
      await mkdir(root, { mode: 0o755 }); // also the mode of the image's root directory
      await progress(`building the image ${name} (its registry cannot be reached)`, async () => {
        await recipe.build(root, scratch);
        await writeImage(reference, root, recipe.config, into, base);
      });
    },
  });
}

/** Links an entry's files into the registry, blobs before the manifests that refer to them. */
async function publish(entry: string, registryDir: string): Promise<void> {
  const files = (await readdir(entry, { recursive: true, withFileTypes: true }))
    .filter((file) => file.isFile())
    .map((file) => join(file.parentPath, file.name).slice(entry.length + 1))
    .sort((a, b) => Number(a.includes("/manifests/")) - Number(b.includes("/manifests/")));
  for (const file of files) await linkInto(join(entry, file), join(registryDir, file));
}
