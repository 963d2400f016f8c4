/** `make down` when everything that it could ask is invalid, damaged or gone. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { cacheRoot } from "../../lib/cache";
import { runningPid } from "../../lib/process";
import { cloudsDir } from "../../tools/places";
import { clusterFor } from "../support/needs";

const cluster = clusterFor("down", { preset: "local", values: { workerCount: 1 }, up: false });
const stateDir = join(cloudsDir, cluster.at.cloud);

beforeEach(async () => {
  cluster.text = undefined;
  await cluster.make`up STAGE=machines`;
});
afterEach(() => {
  cluster.exported = {};
});

/** Everything is gone, and a second `down` has nothing to do. */
async function expectNothingLeft(): Promise<void> {
  await expect(cluster.cloud`status`).rejects.toThrow(/down/);
  expect(existsSync(stateDir)).toBe(false);
  expect(await cluster.make`down`).toContain(`Stack ${cluster.at.stack} does not exist`);
}

/** A cache that has nothing but Pulumi. */
function pulumiOnly(): string {
  const home = mkdtempSync(join(tmpdir(), "cache-"));
  const to = join(home, "kubernetes-from-scratch");
  execFileSync("mkdir", [to]);
  const wanted = readdirSync(cacheRoot()).filter((name) => /^(pulumi|plugin|language-host|command)-/.test(name));
  for (const name of wanted) execFileSync("cp", ["-al", join(cacheRoot(), name), to]);
  return home;
}

it("works with an invalid configuration and an empty cache, and builds nothing", async () => {
  const cache = pulumiOnly();
  try {
    cluster.configure({ workerCount: 0 });
    cluster.exported = { XDG_CACHE_HOME: cache };
    const output = await cluster.make`down`;
    expect(output).toMatch(/Resources:\s+- \d+ deleted/);
    expect(output).not.toMatch(/building|downloading|installing/);
    await expectNothingLeft();
  } finally {
    cluster.configure({ workerCount: 1 });
    rmSync(cache, { recursive: true });
  }
});

it("works with a stack file that is not YAML, and with damaged state of the cloud, which `make up` refuses", async () => {
  process.kill(runningPid({ name: "ec2-api", directory: stateDir })!, "SIGKILL");
  for (const name of ["pickle", "previous"]) writeFileSync(join(stateDir, `ec2-api.${name}`), "garbage");
  const refused = await cluster.tryMake`up STAGE=machines`;
  expect(refused.exitCode).not.toBe(0);
  expect(refused.all).toMatch(
    /state of the EC2 API cannot be read: .*machines and their disks are untouched.*make down/,
  );
  cluster.text = "config: [";
  await cluster.make`down`;
  cluster.text = undefined;
  await expectNothingLeft();
});

it("works without the stack's file", async () => {
  cluster.text = null;
  expect(await cluster.make`down`).toMatch(/Resources:\s+- \d+ deleted/);
  cluster.text = undefined;
  await expectNothingLeft();
});
