/** How to build images if their registry cannot be reached: the same programs, under upstream's names. */
import { addBusybox, busyboxConfig, busyboxRecipe, type DebianRelease } from "./debian";
import * as e2e from "./e2e";
import { coredns, etcd, pause } from "./programs";
import { type ImageRecipe, sameAs } from "./recipe";

/** Tags that tutorials use, of images which they ask no particular version of. */
const aliases = {
  "library/busybox:1.37": ["latest", "stable", "1.28", "1.36"],
  "library/nginx:latest": ["stable", "alpine", "1.14.2", "1.16.1", "1.25", "1.27"],
} as const;

/** The images of tutorials, by the names under which these use them. */
export const tutorialImages = [
  ...Object.entries(aliases).flatMap(([image, tags]) => [image, ...tags.map((tag) => image.replace(/[^:]*$/, tag))]),
].map((name) => `docker.io/${name}`);

/** Every image that can be built, by repository, with a tag if the recipe is only for that tag. */
const own: Readonly<Record<string, (tag: string) => ImageRecipe>> = {
  pause,
  "coredns/coredns": coredns,
  etcd,
  "library/nginx:latest": e2e.nginx,
  "library/busybox:1.37": () => busybox("trixie"),
  // the version that a rollout starts from; its older C library crashes on a DNS lookup
  "library/busybox:1.35": () => busybox("bookworm"),
  "e2e-test-images/agnhost": e2e.agnhost,
  "e2e-test-images/busybox": e2e.busyboxForTests,
  "e2e-test-images/glibc-dns-testing": e2e.glibcDnsTesting,
  "e2e-test-images/kitten": e2e.kitten,
  "e2e-test-images/nautilus": e2e.nautilus,
  "e2e-test-images/nginx": e2e.nginx,
  "e2e-test-images/nonewprivs": e2e.nonewprivs,
  "e2e-test-images/nonroot": e2e.nonroot,
  "e2e-test-images/sample-apiserver": e2e.sampleApiserver,
};

/** Every image that can be built, with the tags that are other names of one. */
export const recipes: Readonly<Record<string, (tag: string) => ImageRecipe>> = {
  ...own,
  ...Object.fromEntries(
    Object.entries(aliases).flatMap(([image, tags]) =>
      tags.map((tag) => [image.replace(/[^:]*$/, tag), () => sameAs(`docker.io/${image}`, own[image]!(""))] as const),
    ),
  ),
};

/** The recipe of an image, if there is one. */
export function imageRecipe(repository: string, tag: string): ImageRecipe | undefined {
  return (recipes[`${repository}:${tag}`] ?? recipes[repository])?.(tag);
}

const busybox = (release: DebianRelease): ImageRecipe => ({
  recipe: JSON.stringify([release, busyboxRecipe]),
  config: busyboxConfig,
  build: (root, scratch) => addBusybox(release, root, scratch),
});
