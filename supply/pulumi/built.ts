/** Builds Pulumi, its language host and plugins, and installs them where the Pulumi engine looks for them. */
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { build as bundle } from "esbuild";
import { cached } from "../../lib/cache";
import { linkInto } from "../../lib/link";
import { progress } from "../../lib/progress";
import { type GoBuild, goBuild, goBuildLocal } from "../go-build";
import type { Pulumi } from "./pulumi";
import { ensureTerraformAws } from "./terraform-aws";
import { type Plugin, plugins, sdkVersion } from "./versions";

const module = "github.com/pulumi/pulumi/pkg/v3";
const version = sdkVersion("pulumi");

/** How the engine, the executable `pulumi`, is built. */
export const engineRecipe: GoBuild = {
  requires: [`${module}@v${version}`],
  packages: [`${module}/cmd/pulumi`],
  // a replacement in the engine's own go.mod, which does not apply to a module that requires it
  replaces: ["github.com/atotto/clipboard=github.com/tgummerer/clipboard@v0.0.0-20241001131231-d02d263e614e"],
  ldflags: [`-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v${version}`],
};

export const buildEngine = (into: string, scratch: string): Promise<void> => goBuild(engineRecipe, into, scratch);

/** The directory of the Go module that contains each plugin's main package, cmd/pulumi-resource-<plugin>. */
const pluginModules: Readonly<Record<Plugin, string>> = {
  command: join(__dirname, "command"),
  tls: join(__dirname, "bridged"),
  aws: join(__dirname, "bridged"),
};

/** Starts a program that is killed when its parent ends, so that a killed engine leaves no plugin behind. */
const withParent = "exec setpriv --pdeathsig KILL";

/** Installs a built engine, the language host and the plugins in a PULUMI_HOME. */
export async function installBuilt(engine: string, home: string): Promise<Pulumi> {
  const binDir = join(home, "bin");
  mkdirSync(binDir, { recursive: true });
  // not a symbolic link: the engine would look for the language host beside the link's target
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
  const pluginVersion = sdkVersion(plugin);
  const source = pluginModules[plugin];
  const label = `building the ${plugin} plugin ${pluginVersion} (its download site cannot be reached)`;
  const main = `./cmd/${executable(plugin)}`;
  return cached({
    name: `plugin-${plugin}`,
    version: pluginVersion,
    recipe: textOf(source),
    build: (into) => progress(label, () => goBuildLocal(source, main, pluginVersion, join(into, executable(plugin)))),
  });
}

/** All files of a directory except Go tests, with their names, as one text: everything that its build depends on. */
function textOf(directory: string): string {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith("_test.go"))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .map((file) => `${file.slice(directory.length)}\n${readFileSync(file, "utf8")}`)
    .join("\n");
}

/** Writes a one-line executable script, unless it is already there. */
function script(file: string, line: string): void {
  const text = `#!/bin/sh\n${line}\n`;
  if (existsSync(file) && readFileSync(file, "utf8") === text) return;
  mkdirSync(dirname(file), { recursive: true });
  const partial = `${file}.${process.pid}.new`; // another command may be running it
  writeFileSync(partial, text);
  chmodSync(partial, 0o755);
  renameSync(partial, file);
}
