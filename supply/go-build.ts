/** Builds commands from Go modules, which come from the module proxy. */
import { mkdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Architecture } from "../cluster/instance-types";
import { hostArchitecture } from "../lib/architecture";
import { UserError } from "../lib/errors";
import { type RunOptions, tryRun } from "../lib/run";

/** What to build, and what to build it from. */
export interface GoBuild {
  /** Modules that contain the commands, as path@version. */
  readonly requires: readonly string[];
  /** Import paths of main packages. The last element names the binary. */
  readonly packages: readonly string[];
  /** Source of an additional main package, if upstream's cannot be imported by path, and the name of its binary. */
  readonly main?: { readonly binary: string; readonly source: string };
  /** As path=path@version. */
  readonly replaces?: readonly string[];
  /** A module that replaces its dependencies with local directories; this version of each is used instead. */
  readonly replacesOf?: { readonly module: string; readonly version: string };
  /** Import paths of packages whose tests are built as well. The last element names the binary, <name>.test. */
  readonly tests?: readonly string[];
  readonly tags?: readonly string[];
  readonly ldflags?: readonly string[];
  /** Link statically against C libraries. Otherwise cgo is disabled. */
  readonly cgo?: boolean;
}

/**
 * Builds one binary per command into a directory, for this machine's architecture or another one.
 * @param scratch an existing directory, for a temporary module that requires the commands.
 */
export async function goBuild(
  build: GoBuild,
  out: string,
  scratch: string,
  architecture: Architecture = hostArchitecture,
): Promise<void> {
  if (build.cgo && architecture !== hostArchitecture) {
    throw new UserError(
      `${build.packages.join(", ")} links against C libraries, so this ${hostArchitecture} machine cannot build it for ${architecture}.`,
      `Use ${hostArchitecture} instance types, or a machine that can download the releases.`,
    );
  }
  await ensureGo();
  const dir = join(scratch, "module");
  for (const directory of [out, dir]) await mkdir(directory, { recursive: true });
  await writeFile(join(dir, "go.mod"), "module tools\n\ngo 1.26.0\n");
  const imports = [...build.packages, ...(build.tests ?? [])].map((path) => `import _ "${path}"\n`).join("");
  await writeFile(join(dir, "tools.go"), `//go:build tools\n\npackage ${build.main ? "main" : "tools"}\n\n${imports}`);
  if (build.main) await writeFile(join(dir, "main.go"), build.main.source);
  const edits = [
    ...build.requires.map((module) => `-require=${module}`),
    ...[...(build.replaces ?? []), ...(await replacesOf(build, dir))].map((replace) => `-replace=${replace}`),
  ];
  await go(dir, ["mod", "edit", ...edits]);
  await go(dir, ["mod", "tidy"]);
  await compile(build, dir, out, architecture);
}

/**
 * Builds a main package of a Go module that is part of this project.
 * @param version value of the package's variable `version`.
 */
export async function goBuildLocal(module: string, main: string, version: string, file: string): Promise<void> {
  await ensureGo();
  const ldflags = `-s -w -X main.version=${version}`;
  await go(module, ["build", "-trimpath", "-ldflags", ldflags, "-o", file, main], { CGO_ENABLED: "0" });
}

async function compile(build: GoBuild, dir: string, out: string, architecture: Architecture): Promise<void> {
  const ldflags = ["-s -w", ...(build.ldflags ?? []), ...(build.cgo ? ["-extldflags -static"] : [])].join(" ");
  const tags = build.tags?.length ? ["-tags", build.tags.join(",")] : [];
  const env = { CGO_ENABLED: build.cgo ? "1" : "0", GOARCH: architecture };
  const base = ["build", "-trimpath", ...tags, "-ldflags", ldflags, "-o"];
  if (build.main) await go(dir, [...base, join(out, build.main.binary), "."], env);
  if (build.packages.length) await go(dir, [...base, `${out}/`, ...build.packages], env);
  // tests can need modules that nothing else needs, hence -mod=mod
  for (const path of build.tests ?? [])
    await go(dir, ["test", "-c", "-mod=mod", ...base.slice(1), join(out, `${basename(path)}.test`), path], env);
}

/** The directory of a module's files, read-only. @param module as path@version. */
export async function moduleDirectory(module: string): Promise<string> {
  await ensureGo();
  const { Dir } = JSON.parse(await go(".", ["mod", "download", "-json", module])) as { Dir: string };
  return Dir;
}

/** Kubernetes requires its own libraries at v0.0.0 and replaces them with ./staging. The proxy has them as modules. */
async function replacesOf({ replacesOf: wanted, requires }: GoBuild, dir: string): Promise<string[]> {
  if (!wanted) return [];
  const module = requires.find((path) => path.startsWith(`${wanted.module}@`)) ?? wanted.module;
  const { GoMod } = JSON.parse(await go(dir, ["mod", "download", "-json", module])) as { GoMod: string };
  const { Replace } = JSON.parse(await go(dir, ["mod", "edit", "-json", GoMod])) as {
    Replace?: { Old: { Path: string } }[];
  };
  return (Replace ?? []).map(({ Old }) => `${Old.Path}=${Old.Path}@${wanted.version}`);
}

async function go(cwd: string, args: readonly string[], env: RunOptions["env"] = {}): Promise<string> {
  const result = await tryRun("go", args, { cwd, env: { GOFLAGS: "-buildvcs=false", ...env } });
  if (result.exitCode === 0) return result.stdout;
  const reason = result.all.trim().split("\n").slice(-20).join("\n");
  throw new UserError(
    `\`go ${args.slice(0, 2).join(" ")}\` failed:\n${reason}\n`,
    "Check that the module proxy (`go env GOPROXY`) can be reached, then run the same command again.",
  );
}

let found = false;

async function ensureGo(): Promise<void> {
  if (found) return;
  if ((await tryRun("go", ["env", "GOVERSION"])).exitCode !== 0) {
    throw new UserError(
      "This machine cannot download releases, so they must be built from Go modules, but Go is not installed.",
      "Install Go 1.26 or newer, or give the machine internet access.",
    );
  }
  found = true;
}
