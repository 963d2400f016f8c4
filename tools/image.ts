/** `make image`: images of this machine for the clusters on the local cloud, whose nodes pull everything from its registry. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { saveImage } from "../cloud/container-engine/image";
import { UserError } from "../lib/errors";
import { progress } from "../lib/progress";
import { addArchive, addImage, listImages } from "../supply/images";
import { parseReference, withTag } from "../supply/images/oci";

export interface ImageSource {
  /** As people type it: nginx, registry.example.org/app:1. */
  readonly image?: string | undefined;
  /** An archive as `docker save` writes it. */
  readonly file?: string | undefined;
}

/**
 * Adds images to the registry, or lists what is there. An image comes from an archive, or else from the container engine,
 * or else from its own registry.
 * @throws UserError if it cannot be had; the registry is as it was then.
 */
export async function addOrListImages({ image, file }: ImageSource): Promise<void> {
  if (image === undefined && file === undefined) {
    const names = await listImages();
    console.log(names.length ? names.map(shortName).join("\n") : "The registry of the local cloud is empty.");
    return;
  }
  const name = image === undefined ? undefined : checked(image);
  const added = file === undefined ? [await fromEngine(name ?? "")] : await fromFile(file, name);
  console.log(`${added.join(", ")}: pods on the local cloud can use it by this name.`);
  console.log("A node that has an image of that name already pulls it again only with imagePullPolicy: Always.");
}

/** Docker Hub's own images are known without a path. */
const shortName = (name: string): string => name.replace(/^library\//, "");

function checked(image: string): string {
  const name = withTag(image);
  try {
    parseReference(name);
    return name;
  } catch {
    throw new UserError(`"${image}" is not the name of an image.`, "Write it like nginx:1.29 or example.org/app:1.");
  }
}

async function fromFile(file: string, name: string | undefined): Promise<string[]> {
  if (!existsSync(file)) throw new UserError(`${file} does not exist.`);
  return progress(`adding the images of ${file}`, () => addArchive(file, name));
}

async function fromEngine(name: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "kfs-image-"));
  try {
    const archive = join(folder, "image.tar");
    if (await saveImage(name, archive)) {
      await progress(`adding ${name} from the container engine`, () => addArchive(archive, name));
      return name;
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  await addImage(name);
  return name;
}
