import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ensureTerraformAws, inMirror, mirrorDirectories } from "../../../supply/pulumi/terraform-aws";

const platform = `linux_${process.arch === "x64" ? "amd64" : process.arch}`;
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "kfs-terraform-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Puts a provider's binary into a mirror in the registry's layout. */
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

describe("the directories where Terraform looks for providers", () => {
  const of = (config: string, env: NodeJS.ProcessEnv = {}): string[] =>
    mirrorDirectories({ HOME: "/home/reader", ...env }, () => config);

  it("are those of its documentation", () => {
    expect(of("")).toEqual([
      "/home/reader/.terraform.d/plugins",
      "/home/reader/.local/share/terraform/plugins",
      "/usr/local/share/terraform/plugins",
      "/usr/share/terraform/plugins",
    ]);
  });

  it("come after those of its configuration", () => {
    const config = `plugin_cache_dir = "~/cache"\nprovider_installation {\n  filesystem_mirror {\n    path = "/mirror"\n  }\n}\n# path = "/not"\n`;
    expect(of(config).slice(0, 3)).toEqual(["/home/reader/cache", "/mirror", "/home/reader/.terraform.d/plugins"]);
  });

  it("and after the cache that the environment names", () => {
    expect(of("", { TF_PLUGIN_CACHE_DIR: "/cached" })[0]).toBe("/cached");
  });

  it("take the configuration from where the environment says", () => {
    const asked: string[] = [];
    mirrorDirectories({ HOME: "/home/reader", TF_CLI_CONFIG_FILE: "/etc/tf.rc" }, (file) => void asked.push(file));
    expect(asked).toEqual(["/etc/tf.rc"]);
  });
});

describe("a provider in a mirror", () => {
  it("is the newest of version 5, for this platform", () => {
    put("5.9.0");
    const newest = put("5.100.0");
    put("6.0.0");
    put("5.200.0", "windows_arm64");
    expect(inMirror(directory)).toBe(newest);
  });

  it("is not there in an empty directory, nor in none", () => {
    expect(inMirror(directory)).toBeUndefined();
    expect(inMirror(join(directory, "none"))).toBeUndefined();
  });

  it("is remembered, and looked for again when it has gone", async () => {
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
