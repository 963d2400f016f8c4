/** Images that consist of one component's programs. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ensurePackages } from "../../../lib/packages";
import { run } from "../../../lib/run";
import { type GoBuild, goBuild } from "../../go-build";
import { etcdBuild } from "../../releases/recipes";
import type { ImageRecipe } from "./recipe";

export function pause(): ImageRecipe {
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

export const corednsBuild = (version: string): GoBuild => {
  const module = "github.com/coredns/coredns";
  return { requires: [`${module}@${version}`], packages: [module] };
};

export function coredns(tag: string): ImageRecipe {
  const build = corednsBuild(tag);
  return {
    recipe: JSON.stringify(build),
    config: { Entrypoint: ["/coredns"], WorkingDir: "/" },
    build: (root, scratch) => goBuild(build, root, scratch),
  };
}

/** @param tag etcd's version and the number of the image, as in 3.6.8-0. */
export function etcd(tag: string): ImageRecipe {
  const build = etcdBuild(`v${tag.replace(/-\d+$/, "")}`);
  return {
    recipe: JSON.stringify(build),
    config: { Cmd: ["etcd"], Env: ["PATH=/usr/local/bin"], WorkingDir: "/" },
    build: (root, scratch) => goBuild(build, join(root, "usr/local/bin"), scratch),
  };
}
