/** Finds a stock Terraform AWS provider on this machine, for the plugin that drives it. */
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { hostArchitecture } from "../../lib/architecture";
import { UserError } from "../../lib/errors";
import { progress } from "../../lib/progress";
import { tryRun } from "../../lib/run";

const platform = `linux_${hostArchitecture}`;

/** Limits of the search of the file system: its duration in seconds, and its depth. */
const SEARCH = { seconds: 60, depth: 10 } as const;

/**
 * Returns the path of a version 5 Terraform AWS provider: a link in `home`, which is created once the provider is
 * found, and again if its target has disappeared.
 * @throws UserError if there is no such provider.
 */
export async function ensureTerraformAws(home: string): Promise<string> {
  const remembered = join(home, "terraform-provider-aws_v5");
  if (existsSync(remembered)) return remembered;
  const tried = mirrorDirectories(process.env, read);
  const found = tried.map(inMirror).find((path) => path !== undefined) ?? (await anywhere());
  if (found === undefined) {
    throw new UserError(
      "The AWS provider is not available: Pulumi's plugins cannot be downloaded from here, and this machine has no " +
        `version 5 Terraform AWS provider for ${platform}. Searched ${tried.join(", ")}, and the whole file system for ` +
        `*/hashicorp/aws/<version>/${platform}/terraform-provider-aws_v5*.`,
      "Give this machine access to get.pulumi.com, or put the provider into " +
        `~/.terraform.d/plugins/registry.terraform.io/hashicorp/aws/<version>/${platform}/.`,
    );
  }
  mkdirSync(dirname(remembered), { recursive: true });
  rmSync(remembered, { force: true });
  symlinkSync(found, remembered);
  return remembered;
}

const read = (file: string): string | undefined => (existsSync(file) ? readFileSync(file, "utf8") : undefined);

/**
 * The directories in which Terraform itself looks for providers, in the same order. Pure, except for `readConfig`.
 * @see https://developer.hashicorp.com/terraform/cli/config/config-file#implied-local-mirror-directories
 */
export function mirrorDirectories(env: NodeJS.ProcessEnv, readConfig: (file: string) => string | undefined): string[] {
  const home = env["HOME"] ?? homedir();
  const config = readConfig(env["TF_CLI_CONFIG_FILE"] ?? join(home, ".terraformrc")) ?? "";
  const configured = [...config.matchAll(/^[^#\n]*?\b(?:path|plugin_cache_dir)\s*=\s*"([^"]+)"/gm)];
  return [
    ...configured.map(([, path = ""]) => path.replace(/^~(?=\/)/, home)),
    env["TF_PLUGIN_CACHE_DIR"] ?? "",
    join(home, ".terraform.d/plugins"),
    join(env["XDG_DATA_HOME"] ?? join(home, ".local/share"), "terraform/plugins"),
    "/usr/local/share/terraform/plugins",
    "/usr/share/terraform/plugins",
  ].filter((directory) => directory !== "");
}

/** The newest version 5 in a directory with the registry's layout, <host>/hashicorp/aws/<version>/<platform>/. */
export function inMirror(directory: string): string | undefined {
  const list = (path: string): string[] => (existsSync(path) ? readdirSync(path) : []);
  const newestFirst = new Intl.Collator("en", { numeric: true });
  for (const host of list(directory)) {
    const versions = join(directory, host, "hashicorp/aws");
    for (const version of list(versions).sort((a, b) => newestFirst.compare(b, a))) {
      const folder = join(versions, version, platform);
      const binary = list(folder).find((file) => file.startsWith("terraform-provider-aws_v5"));
      if (binary !== undefined) return join(folder, binary);
    }
  }
  return undefined;
}

/** The first one found in the registry's layout anywhere on the file systems of / and of the home directory. */
async function anywhere(): Promise<string | undefined> {
  const skipped = ["/proc", "/sys", "/dev", "*/node_modules", "*/go/pkg/mod", "*/.git"].flatMap((path) => [
    "-o",
    "-path",
    path,
  ]);
  const pattern = `*/hashicorp/aws/*/${platform}/terraform-provider-aws_v5*`;
  const find = ["find", "/", homedir(), "-xdev", "-maxdepth", String(SEARCH.depth)];
  const expression = ["(", ...skipped.slice(1), ")", "-prune", "-o", "-path", pattern, "-print", "-quit"];
  const { stdout } = await progress("searching this machine for a Terraform AWS provider", () =>
    tryRun("timeout", [String(SEARCH.seconds), ...find, ...expression]),
  );
  return stdout.trim().split("\n")[0] || undefined;
}
