/** Finds the stock Terraform AWS provider on this machine, for the bridge that drives it. */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { tryRun } from "../run";

const platform = `linux_${process.arch === "x64" ? "amd64" : process.arch}`;

/**
 * Where Terraform looks for providers, in its order.
 * @see https://developer.hashicorp.com/terraform/cli/config/config-file#implied-local-mirror-directories
 */
export function mirrorDirectories(env: NodeJS.ProcessEnv, readConfig: (file: string) => string | undefined): string[] {
  const config = readConfig(env["TF_CLI_CONFIG_FILE"] ?? join(homedir(), ".terraformrc")) ?? "";
  const configured = [...config.matchAll(/^\s*(?:path|plugin_cache_dir)\s*=\s*"([^"]+)"/gm)].map(([, path]) => path ?? "");
  return [
    ...configured,
    env["TF_PLUGIN_CACHE_DIR"] ?? "",
    join(homedir(), ".terraform.d/plugins"),
    join(homedir(), ".local/share/terraform/plugins"),
    "/usr/local/share/terraform/plugins",
    "/usr/share/terraform/plugins",
  ].filter((directory) => directory !== "");
}

/** A version 5 provider in a directory of the registry's layout: <host>/hashicorp/aws/<version>/<platform>/. */
function inMirror(directory: string): string | undefined {
  if (!existsSync(directory)) return undefined;
  for (const host of readdirSync(directory)) {
    const versions = join(directory, host, "hashicorp/aws");
    for (const version of existsSync(versions) ? readdirSync(versions).sort().reverse() : []) {
      const folder = join(versions, version, platform);
      const binary = existsSync(folder) && readdirSync(folder).find((file) => file.startsWith("terraform-provider-aws_v5"));
      if (binary) return join(folder, binary);
    }
  }
  return undefined;
}

/** Path of the provider's binary; undefined where this machine has none of version 5. */
export async function findTerraformAws(): Promise<string | undefined> {
  const read = (file: string): string | undefined => (existsSync(file) ? readFileSync(file, "utf8") : undefined);
  for (const directory of mirrorDirectories(process.env, read)) {
    const found = inMirror(directory);
    if (found) return found;
  }
  // anywhere else in the registry's layout, on this file system and not too deep
  const pattern = `*/hashicorp/aws/*/${platform}/terraform-provider-aws_v5*`;
  const { stdout } = await tryRun("find", ["/", "-xdev", "-maxdepth", "10", "-path", "/proc", "-prune", "-o", "-path", pattern, "-print", "-quit"]);
  return stdout.trim() || undefined;
}
