/** The engine and the plugins built here, as processes. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { ensurePulumi } from "../../supply/pulumi";
import type { Pulumi } from "../../supply/pulumi/pulumi";
import { plugins, sdkVersion } from "../../supply/pulumi/versions";
import { waitFor } from "../../lib/process";
import { run, tryRun } from "../../lib/run";
import { labDir } from "../../tools/places";

const home = join(labDir, "pulumi");
let pulumi: Pulumi;
beforeAll(async () => {
  pulumi = await ensurePulumi(home);
});

/** Child processes of a process. */
function childrenOf(pid: number): number[] {
  const file = `/proc/${pid}/task/${pid}/children`;
  return existsSync(file) ? readFileSync(file, "utf8").trim().split(" ").filter(Boolean).map(Number) : [];
}

const runs = (pid: number): boolean => existsSync(`/proc/${pid}/exe`);

describe("the engine", () => {
  it("has the version of its npm package and finds every plugin", async () => {
    const executable = join(pulumi.binDir, "pulumi");
    const env = { ...pulumi.environment, PULUMI_SKIP_UPDATE_CHECK: "true" };
    expect((await run(executable, ["version"], { env })).trim()).toBe(`v${sdkVersion("pulumi")}`);
    if (!pulumi.environment["PULUMI_HOME"]) return; // the official engine downloads plugins when a program needs them
    const listed = JSON.parse(await run(executable, ["plugin", "ls", "--json"], { env })) as {
      name: string;
      version: string;
    }[];
    for (const plugin of plugins)
      expect(listed).toContainEqual(expect.objectContaining({ name: plugin, version: sdkVersion(plugin) }));
  });
});

describe("a killed engine", () => {
  it("leaves neither plugin nor Terraform provider behind", async ({ skip }) => {
    if (!pulumi.environment["PULUMI_HOME"]) skip("the official plugins are in use");
    const plugin = join(home, "plugins", `resource-aws-v${sdkVersion("aws")}`, "pulumi-resource-aws");
    const parent = spawn("sh", ["-c", `'${plugin}' 127.0.0.1:1 & wait`], { stdio: ["ignore", "pipe", "inherit"] });
    await once(parent.stdout, "data"); // its port, once it is ready
    const [bridge = 0] = childrenOf(parent.pid ?? 0);
    const [terraform = 0] = childrenOf(bridge);
    expect(runs(bridge) && runs(terraform)).toBe(true);
    parent.kill("SIGKILL");
    expect(await waitFor(() => !runs(bridge) && !runs(terraform), 10_000)).toBe(true);
  });
});

describe("the plugins' sources", () => {
  it("are formatted by gofmt", async ({ skip }) => {
    if ((await tryRun("gofmt", ["-h"])).exitCode === 127) skip("Go is not installed");
    const source = resolve(__dirname, "../../supply/pulumi");
    expect(await run("gofmt", ["-l", source])).toBe("");
  });
});

describe("the command plugin", () => {
  it("passes its own tests against an SSH server", async ({ skip }) => {
    if ((await tryRun("go", ["version"])).exitCode !== 0) skip("Go is not installed");
    const source = resolve(__dirname, "../../supply/pulumi/command");
    const env = { CGO_ENABLED: "0", GOFLAGS: "-buildvcs=false" };
    const result = await tryRun("go", ["-C", source, "test", "-trimpath", "./..."], { env });
    expect(result.exitCode, result.all).toBe(0);
  });
});
