/** What a recipe is: how to build one image. */
import type { ImageConfig } from "../oci";

export interface ImageRecipe {
  /** Everything that the content depends on, except the tag. */
  readonly recipe: string;
  /** Full name of an image whose layers come below this one's. */
  readonly base?: string;
  readonly config: ImageConfig;
  /** Fills an empty directory: the image's root, or what it has on top of its base. `scratch` is for temporary files. */
  readonly build: (root: string, scratch: string) => Promise<void>;
}

/** An image under another name: its layers, with an empty one on top. @param image its full name. */
export const sameAs = (image: string, { config }: ImageRecipe): ImageRecipe => ({
  base: image,
  recipe: "",
  config,
  build: () => Promise.resolve(),
});
