/**
 * The image registry of the local cloud: a tree of plain files that any web server can serve, with the images under
 * their upstream names. Images are pulled if their registry can be reached; otherwise they are built, see recipes.ts.
 */
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { cached, cacheRoot } from "../../lib/cache";
import { linkInto } from "../../lib/link";
import { UserError } from "../../lib/errors";
import { progress } from "../../lib/progress";
import { reachable } from "../../lib/reachable";
import { parseReference, writeImage } from "./oci";
import { pullImage, registryUrl } from "./pull";
import { imageRecipe, recipes } from "./recipes";

/**
 * Ensures that the registry holds these images. It keeps all images ever requested, and can be served at the same time.
 * @param names full names with tags, such as registry.k8s.io/pause:3.10.1.
 * @returns the directory whose v2/ a web server serves.
 */
export async function ensureImages(names: readonly string[]): Promise<{ registryDir: string }> {
  const registryDir = join(cacheRoot(), "registry");
  for (const name of names) await publish(await ensureImage(name), registryDir);
  return { registryDir };
}

/** The cache entry of one image: a registry tree that contains only this image. */
function ensureImage(name: string): Promise<string> {
  const reference = parseReference(name);
  const recipe = imageRecipe(reference.repository, reference.tag);
  return cached({
    name: `image-${reference.repository.replaceAll("/", "-")}`,
    version: reference.tag,
    recipe: JSON.stringify([name, process.arch, recipe?.recipe, recipe?.config]),
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
      const root = join(scratch, "root");
      await mkdir(root, { mode: 0o755 }); // also the mode of the image's root directory
      await progress(`building the image ${name} (its registry cannot be reached)`, async () => {
        await recipe.build(root, scratch);
        await writeImage(reference, root, recipe.config, into);
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
