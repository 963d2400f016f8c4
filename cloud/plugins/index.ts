/**
 * The Pulumi engine, its language host and the provider plugins: the reader's own or the official ones where they can be
 * had, otherwise built from Go modules. The versions are package.json's.
 */
import { mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync, chmodSync, existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { build as bundle } from "esbuild";
import { cached, sha256Of } from "../cache";
import { UserError } from "../names";
import { progress } from "../progress";
import { publishedSum } from "../releases";
import { goBuild, goBuildDirectory } from "../releases/go-build";
import { run, tryRun } from "../run";
import { findTerraformAws } from "./terraform-aws";

/** How Pulumi is called. */
export interface Engine {
  /** Directory with `pulumi`, in front of PATH. */
  readonly binDir: string;
  /** Environment for every call. */
  readonly environment: Readonly<Record<string, string>>;
}

const checkout = resolve(__dirname, "../..");
const dependencies = (
  JSON.parse(readFileSync(join(checkout, "package.json"), "utf8")) as { dependencies: Record<string, string> }
).dependencies;
const versionOf = (name: string): string => dependencies[`@pulumi/${name}`] ?? "";
const pdeathsig = "exec setpriv --pdeathsig KILL";

/**
 * Makes `pulumi` with its plugins ready for this checkout.
 * @param home directory of the checkout's own PULUMI_HOME and executables.
 * @throws UserError where neither the official engine nor a build can be had.
 */
export async function ensureEngine(home: string): Promise<Engine> {
  const official = (await installed()) ?? (await downloaded());
  if (official) return { binDir: official, environment: {} };
  return builtEngine(home);
}

/** The reader's own Pulumi, where it is complete and not older than the SDK asks for. */
async function installed(): Promise<string | undefined> {
  const path = (await tryRun("which", ["pulumi"])).stdout.trim();
  if (!path || !(await tryRun("which", ["pulumi-language-nodejs"])).stdout.trim()) return undefined;
  const minor = Number((await tryRun(path, ["version"])).stdout.trim().split(".")[1]);
  return minor >= Number(versionOf("pulumi").split(".")[1]) - 60 ? dirname(path) : undefined;
}

/** Pulumi's own download, verified by the sums that the project publishes; undefined where it does not answer. */
async function downloaded(): Promise<string | undefined> {
  const version = versionOf("pulumi");
  const file = `pulumi-v${version}-linux-${process.arch}.tar.gz`;
  const url = `https://get.pulumi.com/releases/sdk/${file}`;
  const sums = `https://github.com/pulumi/pulumi/releases/download/v${version}/pulumi-${version}-checksums.txt`;
  const answers = await fetch(url, { method: "HEAD", signal: AbortSignal.timeout(4000) }).then(
    (response) => response.ok,
    () => false,
  );
  if (!answers) return undefined;
  const entry = await cached({
    name: "pulumi-official",
    version,
    recipe: url,
    build: (into) =>
      progress(`downloading Pulumi ${version}`, async () => {
        const archive = join(into, file);
        await writeFile(archive, Buffer.from(await (await fetch(url)).arrayBuffer()));
        const expected = publishedSum(await (await fetch(sums)).text(), file);
        const got = await sha256Of(archive);
        if (got !== expected) throw new Error(`${url}: SHA-256 is ${got}, published is ${expected ?? "none"}`);
        await run("tar", ["-xzf", archive, "-C", into]);
        rmSync(archive);
      }),
  });
  return join(entry, "pulumi");
}

async function builtEngine(home: string): Promise<Engine> {
  const binDir = join(home, "bin");
  mkdirSync(binDir, { recursive: true });
  const engine = await buildPulumi();
  const host = await bundleLanguageHost();
  replaceLink(join(engine, "pulumi"), join(binDir, "pulumi"));
  script(
    join(binDir, "pulumi-language-nodejs"),
    `PULUMI_LANGUAGE_HOST_VERSION=${versionOf("pulumi")} ${pdeathsig} node ${join(host, "main.cjs")} "$@"`,
  );
  const aws = await findTerraformAws();
  if (!aws)
    throw new UserError(
      "The AWS provider cannot be had: Pulumi's plugins cannot be downloaded from here, and no Terraform AWS provider of " +
        "version 5 was found in Terraform's configuration, its mirror directories or elsewhere on this file system.",
      "Give this machine a way to the internet, or put terraform-provider-aws_v5.* into " +
        "~/.terraform.d/plugins/registry.terraform.io/hashicorp/aws/<version>/<os_arch>/.",
    );
  const terraform = join(home, "terraform-provider-aws");
  script(terraform, `${pdeathsig} ${aws} "$@"`);
  for (const name of ["command", "tls", "aws"]) {
    const binary = join(await buildProvider(name), `pulumi-resource-${name}`);
    const directory = join(home, "plugins", `resource-${name}-v${versionOf(name)}`);
    mkdirSync(directory, { recursive: true });
    const environment = name === "aws" ? `LAB_TF_PROVIDER_AWS=${terraform} ` : "";
    script(join(directory, `pulumi-resource-${name}`), `${environment}${pdeathsig} ${binary} "$@"`);
  }
  return {
    binDir,
    environment: { PULUMI_HOME: home, PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true" },
  };
}

function buildPulumi(): Promise<string> {
  const version = versionOf("pulumi");
  const module = "github.com/pulumi/pulumi/pkg/v3";
  const build = {
    requires: [`${module}@v${version}`],
    packages: [`${module}/cmd/pulumi`],
    // the engine's own go.mod replaces this one, and replacements are not inherited
    replaces: ["github.com/atotto/clipboard=github.com/tgummerer/clipboard@v0.0.0-20241001131231-d02d263e614e"],
    ldflags: [`-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v${version}`],
  };
  return cached({
    name: "pulumi",
    version,
    recipe: JSON.stringify(build),
    build: (into) => progress(`building the Pulumi engine ${version} (its download cannot be reached)`, () => goBuild(build, into)),
  });
}

function bundleLanguageHost(): Promise<string> {
  const source = join(__dirname, "language-host/main.ts");
  return cached({
    name: "language-host",
    version: versionOf("pulumi"),
    recipe: readFileSync(source, "utf8"),
    build: async (into) => {
      await bundle({
        entryPoints: [source],
        bundle: true,
        platform: "node",
        format: "cjs",
        outfile: join(into, "main.cjs"),
        logLevel: "error",
      });
    },
  });
}

function buildProvider(name: string): Promise<string> {
  const source = join(__dirname, `provider-${name}`);
  const files = readdirSync(source, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  return cached({
    name: `provider-${name}`,
    version: versionOf(name),
    recipe: files.map((file) => `${file.slice(source.length)}\n${readFileSync(file, "utf8")}`).join("\n"),
    build: (into) =>
      progress(`building the ${name} provider ${versionOf(name)} (its download cannot be reached)`, () =>
        goBuildDirectory(source, join(into, `pulumi-resource-${name}`)),
      ),
  });
}

function script(file: string, line: string): void {
  const text = `#!/bin/sh\n${line}\n`;
  if (existsSync(file) && readFileSync(file, "utf8") === text) return;
  rmSync(file, { force: true });
  writeFileSync(file, text);
  chmodSync(file, 0o755);
}

function replaceLink(target: string, link: string): void {
  rmSync(link, { force: true });
  symlinkSync(target, link);
}

