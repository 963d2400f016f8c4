/** How to build images if their registry cannot be reached: the same programs, under upstream's names. */
import { chmod, copyFile, mkdir, symlink, writeFile } from "node:fs/promises";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { kubernetesVersions } from "../../cluster/versions";
import { ensurePackages } from "../../lib/packages";
import { run } from "../../lib/run";
import { type GoBuild, goBuild } from "../go-build";
import type { ImageConfig } from "./oci";

/** How to build one image. */
export interface ImageRecipe {
  /** Everything that the content depends on, except the tag. */
  readonly recipe: string;
  readonly config: ImageConfig;
  /** Fills an empty directory, the image's root. `scratch` is an existing directory for temporary files. */
  readonly build: (root: string, scratch: string) => Promise<void>;
}

/** Every image that can be built, by repository, with a tag if the recipe is only for that tag. */
export const recipes: Readonly<Record<string, (tag: string) => ImageRecipe>> = {
  pause,
  "coredns/coredns": coredns,
  "e2e-test-images/agnhost": agnhost,
  "library/busybox:1.37": () => busybox("trixie"),
  // the version that a rollout starts from; its older C library crashes on a DNS lookup
  "library/busybox:1.35": () => busybox("bookworm"),
};

/** The recipe of an image, if there is one. */
export function imageRecipe(repository: string, tag: string): ImageRecipe | undefined {
  return (recipes[`${repository}:${tag}`] ?? recipes[repository])?.(tag);
}

function pause(): ImageRecipe {
  const source = join(__dirname, "pause.c");
  return {
    recipe: readFileSync(source, "utf8"),
    config: { Entrypoint: ["/pause"], User: "65535:65535", WorkingDir: "/" },
    build: async (root) => {
      await ensurePackages(["gcc", "libc6-dev"]);
      await run("gcc", ["-Os", "-Wall", "-Wextra", "-Werror", "-static", "-s", "-o", join(root, "pause"), source]);
    },
  };
}

function coredns(tag: string): ImageRecipe {
  const module = "github.com/coredns/coredns";
  const build: GoBuild = { requires: [`${module}@${tag}`], packages: [module] };
  return {
    recipe: JSON.stringify(build),
    config: { Entrypoint: ["/coredns"], WorkingDir: "/" },
    build: (root, scratch) => goBuild(build, root, scratch),
  };
}

/** The image of Kubernetes' own end-to-end tests, based on busybox instead of upstream's Alpine. */
function agnhost(): ImageRecipe {
  const version = kubernetesVersions.at(-1) ?? "";
  const build: GoBuild = {
    requires: [`k8s.io/kubernetes@${version}`],
    replacesOf: { module: "k8s.io/kubernetes", version: version.replace(/^v1/, "v0") },
    packages: ["k8s.io/kubernetes/test/images/agnhost"],
  };
  const base = busybox("trixie");
  return {
    recipe: JSON.stringify(build) + base.recipe,
    config: { Entrypoint: ["/agnhost"], Cmd: ["pause"], Env: base.config.Env, WorkingDir: "/" },
    build: async (root, scratch) => {
      await base.build(root, scratch);
      await goBuild(build, root, scratch);
    },
  };
}

const busyboxFiles: Readonly<Record<string, string>> = {
  "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
  "etc/group": "root:x:0:\nnobody:x:65534:\n",
  "etc/nsswitch.conf": "hosts: files dns\n",
};

/** busybox-static of a Debian release, laid out like the image busybox: /bin/busybox and one link per applet. */
function busybox(debian: "bookworm" | "trixie"): ImageRecipe {
  return {
    recipe: JSON.stringify([debian, busyboxFiles]),
    config: { Cmd: ["sh"], Env: ["PATH=/bin"], WorkingDir: "/" },
    build: async (root, scratch) => {
      await ensurePackages(["mmdebstrap", "debian-archive-keyring"]);
      const extracted = join(scratch, "debian");
      const options = ["--quiet", "--variant=extract", "--include=busybox-static"];
      await run("mmdebstrap", [...options, debian, extracted]);
      for (const directory of ["bin", "etc", "root", "tmp"]) await mkdir(join(root, directory), { recursive: true });
      const binary = join(root, "bin/busybox");
      const packaged = debian === "bookworm" ? "bin/busybox" : "usr/bin/busybox";
      await copyFile(join(extracted, packaged), binary);
      await chmod(join(root, "tmp"), 0o1777);
      for (const applet of (await run(binary, ["--list"])).trim().split("\n")) {
        if (applet !== "busybox") await symlink("busybox", join(root, "bin", applet));
      }
      for (const [path, text] of Object.entries(busyboxFiles)) await writeFile(join(root, path), text);
    },
  };
}
