/**
 * busybox as upstream makes it. Debian's shell, by patch and configuration, does not pass on environment variables whose names
 * are unusual, and prefers its own programs to those of the same names on the PATH; specs depend on both.
 */
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { cached } from "../../../lib/cache";
import { ensurePackages } from "../../../lib/packages";
import { run } from "../../../lib/run";
import { fetchSource } from "./debian";

/** What differs from upstream's default configuration; tc needs headers of older kernels. */
const settings = { CONFIG_STATIC: "y", CONFIG_TC: "n" };
const recipe = JSON.stringify(settings);

/** The program, static and built once, and the text that it depends on. */
export const upstreamBusybox = {
  recipe,
  program: async (): Promise<string> =>
    join(await cached({ name: "busybox", version: "trixie", recipe, build }), "busybox"),
};

async function build(directory: string, scratch: string): Promise<void> {
  await ensurePackages(["bzip2", "gcc", "libc6-dev", "make"]);
  const tree = join(scratch, "tree");
  await mkdir(tree);
  await run("tar", ["-xf", await fetchSource("trixie", "busybox", scratch), "-C", tree, "--strip-components=1"]);
  await run("make", ["-C", tree, "defconfig"]);
  const config = await readFile(join(tree, ".config"), "utf8");
  const kept = config.split("\n").filter((line) => !Object.keys(settings).some((key) => line.includes(key)));
  const wanted = Object.entries(settings).map(([key, value]) => `${key}=${value}`);
  await writeFile(join(tree, ".config"), [...kept, ...wanted, ""].join("\n"));
  await run("sh", ["-c", `yes '' | make -C '${tree}' oldconfig`]);
  await run("make", ["-C", tree, `-j${availableParallelism()}`]);
  await copyFile(join(tree, "busybox"), join(directory, "busybox"));
}
