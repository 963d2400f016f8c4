/** Pulumi for a machine that cannot download it: engine, language host and plugins built, and put where the engine looks. */
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { build as bundle } from "esbuild";
import { cached } from "../../lib/cache";
import { linkInto } from "../../lib/link";
import { progress } from "../../lib/progress";
import { type GoBuild, goBuild, goBuildDirectory } from "../go-build";
import type { Engine } from ".";
import { ensureTerraformAws } from "./terraform-aws";
import { type Plugin, plugins, sdkVersion } from "./versions";

const module = "github.com/pulumi/pulumi/pkg/v3";
const version = sdkVersion("pulumi");

/** How the engine is built. */
export const engineRecipe: GoBuild = {
  requires: [`${module}@v${version}`],
  packages: [`${module}/cmd/pulumi`],
  // the engine's own go.mod replaces this one, and replacements are not inherited
  replaces: ["github.com/atotto/clipboard=github.com/tgummerer/clipboard@v0.0.0-20241001131231-d02d263e614e"],
  ldflags: [`-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v${version}`],
};

export const buildEngine = (into: string, scratch: string): Promise<void> => goBuild(engineRecipe, into, scratch);

/** Starts a program that ends with its parent: an engine that was killed leaves no plugin behind. */
const withParent = "exec setpriv --pdeathsig KILL";

/** Lays out PULUMI_HOME and the executables around a built engine. */
export async function builtEngine(engine: string, home: string): Promise<Engine> {
  const binDir = join(home, "bin");
  mkdirSync(binDir, { recursive: true });
  // not a symbolic link: the engine looks for the language host beside the file that it is
  await linkInto(join(engine, "pulumi"), join(binDir, "pulumi"));
  const languageHost = join(await bundleLanguageHost(), "main.cjs");
  script(
    join(binDir, "pulumi-language-nodejs"),
    `PULUMI_LANGUAGE_HOST_VERSION=${version} ${withParent} node '${languageHost}' "$@"`,
  );
  const terraform = join(home, "terraform-provider-aws");
  script(terraform, `${withParent} '${await ensureTerraformAws(home)}' "$@"`);
  for (const plugin of plugins) {
    const binary = join(await buildPlugin(plugin), executable(plugin));
    const environment = plugin === "aws" ? `TERRAFORM_PROVIDER_AWS='${terraform}' ` : "";
    const directory = join(home, "plugins", `resource-${plugin}-v${sdkVersion(plugin)}`);
    script(join(directory, executable(plugin)), `${environment}${withParent} '${binary}' "$@"`);
  }
  return { binDir, environment: { PULUMI_HOME: home, PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true" } };
}

const executable = (plugin: Plugin): string => `pulumi-resource-${plugin}`;

function bundleLanguageHost(): Promise<string> {
  const source = join(__dirname, "language-host");
  return cached({
    name: "language-host",
    version,
    recipe: textOf(source),
    build: async (into) => {
      const options = { bundle: true, platform: "node", format: "cjs", logLevel: "error" } as const;
      await bundle({ ...options, entryPoints: [join(source, "main.ts")], outfile: join(into, "main.cjs") });
    },
  });
}

function buildPlugin(plugin: Plugin): Promise<string> {
  const source = join(__dirname, plugin);
  const label = `building the ${plugin} plugin ${sdkVersion(plugin)} (its download cannot be reached)`;
  return cached({
    name: `plugin-${plugin}`,
    version: sdkVersion(plugin),
    recipe: textOf(source),
    build: (into) => progress(label, () => goBuildDirectory(source, join(into, executable(plugin)))),
  });
}

/** All files of a directory but Go's tests, with their names, as one text: what a build of it depends on. */
function textOf(directory: string): string {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith("_test.go"))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .map((file) => `${file.slice(directory.length)}\n${readFileSync(file, "utf8")}`)
    .join("\n");
}

/** Writes an executable of one line, unless it is there. */
function script(file: string, line: string): void {
  const text = `#!/bin/sh\n${line}\n`;
  if (existsSync(file) && readFileSync(file, "utf8") === text) return;
  mkdirSync(dirname(file), { recursive: true });
  rmSync(file, { force: true });
  writeFileSync(file, text);
  chmodSync(file, 0o755);
}
