/** How images are made on a machine that reaches no registry: the same programs, under upstream's names. */
import { chmod, copyFile, mkdir, symlink, writeFile } from "node:fs/promises";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { kubernetesVersions } from "../../cluster/versions";
import { ensurePackages } from "../../lib/packages";
import { type GoBuild, goBuild } from "../go-build";
import { run } from "../../lib/run";
import type { ImageConfig } from "./oci";

/** One way to make an image. */
export interface ImageRecipe {
  /** Everything that the content depends on, beside the tag. */
  readonly recipe: string;
  readonly config: ImageConfig;
  /** Fills the empty directory with the image's root; `scratch` is an existing directory beside it. */
  readonly build: (root: string, scratch: string) => Promise<void>;
}

/** The recipe of an image, by its name without the tag; undefined where there is none. */
export function imageRecipe(repository: string, tag: string): ImageRecipe | undefined {
  switch (repository) {
    case "pause":
      return pause();
    case "coredns/coredns":
      return coredns(tag);
    case "e2e-test-images/agnhost":
      return agnhost();
    case "library/busybox":
      return debianOf[tag] === undefined ? undefined : busybox(debianOf[tag]);
    default:
      return undefined;
  }
}

/** Repositories that there are recipes for, for messages. */
export const known = [
  "pause",
  "coredns/coredns",
  "e2e-test-images/agnhost",
  "library/busybox:1.37",
  "library/busybox:1.35",
];

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

/** The test image of Kubernetes' own end-to-end tests, on busybox where upstream's is on Alpine. */
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

/**
 * Which Debian release has which busybox. 1.35 is there to roll out from: linked with an older C library, it crashes on
 * names that only DNS knows.
 */
const debianOf: Readonly<Record<string, string>> = { "1.37": "trixie", "1.35": "bookworm" };

const busyboxFiles: Readonly<Record<string, string>> = {
  "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
  "etc/group": "root:x:0:\nnobody:x:65534:\n",
  "etc/nsswitch.conf": "hosts: files dns\n",
};

/** Debian's busybox-static, laid out as the image of that name is: /bin/busybox with a link an applet. */
function busybox(debian: string): ImageRecipe {
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
