/** Where a Terraform AWS provider is found. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { hostArchitecture } from "../../../lib/architecture";
import { ensureTerraformAws, inMirror, mirrorDirectories } from "../../../supply/pulumi/terraform-aws";

const platform = `linux_${hostArchitecture}`;
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "kfs-terraform-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Puts a provider's binary into a mirror with the registry's layout. */
function put(version: string, where = platform, mirror = directory): string {
  const file = join(
    mirror,
    "registry.terraform.io/hashicorp/aws",
    version,
    where,
    `terraform-provider-aws_v${version}_x5`,
  );
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, "");
  return file;
}

describe("the directories in which Terraform looks for providers", () => {
  const of = (config: string, env: NodeJS.ProcessEnv = {}): string[] =>
    mirrorDirectories({ HOME: "/home/reader", ...env }, () => config);

  it("are those in its documentation", () => {
    expect(of("")).toEqual([
      "/home/reader/.terraform.d/plugins",
      "/home/reader/.local/share/terraform/plugins",
      "/usr/local/share/terraform/plugins",
      "/usr/share/terraform/plugins",
    ]);
  });

  it("come after those in its configuration", () => {
    const config = `plugin_cache_dir = "~/cache"\nprovider_installation {\n  filesystem_mirror {\n    path = "/mirror"\n  }\n}\n# path = "/not"\n`;
    expect(of(config).slice(0, 3)).toEqual(["/home/reader/cache", "/mirror", "/home/reader/.terraform.d/plugins"]);
  });

  it("come after the cache that the environment names", () => {
    expect(of("", { TF_PLUGIN_CACHE_DIR: "/cached" })[0]).toBe("/cached");
  });

  it("include those of a configuration file that the environment names", () => {
    const read: string[] = [];
    mirrorDirectories({ HOME: "/home/reader", TF_CLI_CONFIG_FILE: "/etc/tf.rc" }, (file) => void read.push(file));
    expect(read).toEqual(["/etc/tf.rc"]);
  });
});

describe("a provider in a mirror", () => {
  it("is the newest of version 5 for this platform", () => {
    put("5.9.0");
    const newest = put("5.100.0");
    put("6.0.0");
    put("5.200.0", "windows_arm64");
    expect(inMirror(directory)).toBe(newest);
  });

  it("is not found in an empty or missing directory", () => {
    expect(inMirror(directory)).toBeUndefined();
    expect(inMirror(join(directory, "none"))).toBeUndefined();
  });

  it("is remembered, and searched for again once it is gone", async () => {
    const home = join(directory, "home");
    const mirror = join(directory, "mirror");
    const cacheDir = process.env["TF_PLUGIN_CACHE_DIR"];
    process.env["TF_PLUGIN_CACHE_DIR"] = mirror;
    try {
      const first = put("5.1.0", platform, mirror);
      const remembered = await ensureTerraformAws(home);
      rmSync(first);
      put("5.2.0", platform, mirror);
      expect(await ensureTerraformAws(home)).toBe(remembered);
    } finally {
      if (cacheDir === undefined) delete process.env["TF_PLUGIN_CACHE_DIR"];
      else process.env["TF_PLUGIN_CACHE_DIR"] = cacheDir;
    }
  });
});
