/** Builds commands out of Go modules, through the module proxy: for a machine that cannot download the releases. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { UserError } from "../lib/errors";

/** What is built, and from what. */
export interface GoBuild {
  /** Modules that the commands come from, as path@version. */
  readonly requires: readonly string[];
  /** Import paths of main packages; the last element names the binary. */
  readonly packages: readonly string[];
  /** Source of a main package of our own, where upstream's cannot be named through the proxy, and its binary's name. */
  readonly main?: { readonly binary: string; readonly source: string };
  /** As path=path@version. */
  readonly replaces?: readonly string[];
  /** A module whose own replacements by local directories become this version of the same path. */
  readonly replacesOf?: { readonly module: string; readonly version: string };
  readonly tags?: readonly string[];
  readonly ldflags?: readonly string[];
  /** Linked statically against C libraries; otherwise without C at all. */
  readonly cgo?: boolean;
}

type GoArchitecture = "amd64" | "arm64";
const host: GoArchitecture = process.arch === "arm64" ? "arm64" : "amd64";

/**
 * Builds into a directory, one binary a command, for this machine's architecture or another one.
 * @param scratch an existing directory, for the module that requires what is built.
 */
export async function goBuild(
  build: GoBuild,
  out: string,
  scratch: string,
  architecture: GoArchitecture = host,
): Promise<void> {
  if (build.cgo && architecture !== host) {
    throw new UserError(
      `${build.packages.join(", ")} is linked against C libraries, so this ${host} machine does not build it for ${architecture}.`,
      `Use instance types of the architecture ${host}, or a machine that can download the releases.`,
    );
  }
  await ensureGo();
  const dir = join(scratch, "module");
  for (const directory of [out, dir]) await mkdir(directory, { recursive: true });
  await writeFile(join(dir, "go.mod"), "module tools\n\ngo 1.26.0\n");
  const imports = build.packages.map((path) => `import _ "${path}"\n`).join("");
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

/** Builds the main package of a module that is a directory of ours. */
export async function goBuildDirectory(dir: string, file: string): Promise<void> {
  await ensureGo();
  await go(dir, ["build", "-trimpath", "-ldflags", "-s -w", "-o", file, "."], { CGO_ENABLED: "0" });
}

async function compile(build: GoBuild, dir: string, out: string, architecture: GoArchitecture): Promise<void> {
  const ldflags = ["-s -w", ...(build.ldflags ?? []), ...(build.cgo ? ["-extldflags -static"] : [])].join(" ");
  const tags = build.tags?.length ? ["-tags", build.tags.join(",")] : [];
  const env = { CGO_ENABLED: build.cgo ? "1" : "0", GOARCH: architecture };
  const base = ["build", "-trimpath", ...tags, "-ldflags", ldflags, "-o"];
  if (build.main) await go(dir, [...base, join(out, build.main.binary), "."], env);
  if (build.packages.length) await go(dir, [...base, `${out}/`, ...build.packages], env);
}

/** Kubernetes requires its own libraries at v0.0.0 and replaces them by ./staging: the proxy has them as modules. */
async function replacesOf({ replacesOf: wanted, requires }: GoBuild, dir: string): Promise<string[]> {
  if (!wanted) return [];
  const module = requires.find((path) => path.startsWith(`${wanted.module}@`)) ?? wanted.module;
  const { GoMod } = JSON.parse(await go(dir, ["mod", "download", "-json", module])) as { GoMod: string };
  const { Replace } = JSON.parse(await go(dir, ["mod", "edit", "-json", GoMod])) as {
    Replace?: { Old: { Path: string } }[];
  };
  return (Replace ?? []).map(({ Old }) => `${Old.Path}=${Old.Path}@${wanted.version}`);
}

async function go(dir: string, args: readonly string[], env: Record<string, string> = {}): Promise<string> {
  const result = await execa("go", args, { cwd: dir, env: { GOFLAGS: "-buildvcs=false", ...env }, reject: false });
  if (result.exitCode === 0) return result.stdout;
  const reason = result.stderr.trim().split("\n").slice(-20).join("\n");
  throw new UserError(
    `\`go ${args.slice(0, 2).join(" ")}\` failed:\n${reason}\n`,
    "Modules come from the proxy that `go env GOPROXY` names: it must answer. Then run the same again.",
  );
}

let found = false;

async function ensureGo(): Promise<void> {
  if (found) return;
  const result = await execa("go", ["env", "GOVERSION"], { reject: false });
  if (result.exitCode !== 0)
    throw new UserError(
      "This machine reaches no release downloads, so binaries are built from Go modules, and Go is missing.",
      "Install Go 1.26 or newer, or give the machine a way to the internet.",
    );
  found = true;
}
