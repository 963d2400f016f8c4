/** A checkout that is moved goes on with its cluster, and a copy of it is refused while the original has one. */
import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { root } from "../../tools/places";
import { places } from "../support/needs";

const { port, network } = places.moved;
const home = mkdtempSync(join(tmpdir(), "kfs-moved-"));
const at = (checkout: string): string => join(home, checkout);
let current = at("first");

/** Runs a command in a checkout, after `make env` if it is not make, and returns how it ended. */
async function run(command: string, checkout = current): Promise<{ exitCode: number | undefined; all: string }> {
  const env = { LAB_CLOUD: "test-moved", STACK: "test-moved" };
  const line = command.startsWith("make ") ? command : `eval "$(make -s env)" && ${command}`;
  const result = await execa("bash", ["-c", line], { cwd: checkout, env, all: true, reject: false, stdin: "ignore" });
  return { exitCode: result.exitCode, all: result.all ?? "" };
}

async function succeed(command: string): Promise<string> {
  const { exitCode, all } = await run(command);
  expect(exitCode, `${command}:\n${all}`).toBe(0);
  return all;
}

beforeAll(async () => {
  const { stdout } = await execa("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
  });
  for (const file of stdout.split("\0").filter((name) => name && !name.startsWith("Pulumi.test-")))
    cpSync(join(root, file), join(current, file), { recursive: true });
  await execa("cp", ["-al", join(root, "node_modules"), current]);
  const { config } = parse(readFileSync(join(root, "Pulumi.local.yaml"), "utf8")) as {
    config: Record<string, unknown>;
  };
  const moved = stringify({ config }).replaceAll("10.1.", `${network}.`).replace(":5001", `:${port}`);
  writeFileSync(join(current, "Pulumi.test-moved.yaml"), moved);
  await succeed("make up");
  await succeed("kubectl create namespace kept");
});
afterAll(async () => {
  await run("make down");
  rmSync(home, { recursive: true, force: true });
});

it("goes on with its cluster at the new path", async () => {
  renameSync(current, at("second"));
  current = at("second");
  expect(await succeed("make up")).toMatch(/Resources:\s+\d+ unchanged/);
  await succeed("make status");
  expect(await succeed("kubectl get namespace kept -o name")).toContain("namespace/kept");
  expect(await succeed("ssh -F .lab/test-moved/ssh_config worker-0 hostname")).toContain("worker-0");
});

it("is not disturbed by a copy, which is refused", async () => {
  await execa("cp", ["-a", current, at("copy")]);
  const targets = ["up", "preview", "refresh", "status", "snapshot", "restore SNAPSHOT=/dev/null", "env", "down"];
  for (const command of targets.map((target) => `make ${target}`)) {
    const { exitCode, all } = await run(command, at("copy"));
    expect(exitCode).not.toBe(0);
    expect(all).toMatch(new RegExp(`is a copy: .* belongs to the checkout with the state directory ${current}`));
  }
  await succeed("make status");
  expect(await succeed("kubectl get namespace kept -o name")).toContain("namespace/kept");
});

it("is taken down at the new path, with everything", async () => {
  await succeed("make down");
  const { all } = await run("make -s env >/dev/null; node_modules/.bin/tsx cloud/cli.ts status");
  expect(all).toContain("cloud test-moved: down");
});

it("does not come up empty in the copy, which can be taken down as well", async () => {
  current = at("copy");
  const { exitCode, all } = await run("make up");
  expect(exitCode).not.toBe(0);
  expect(all).toContain("Every machine that had the cluster's data is lost: controller-0.");
  expect(all).toContain("LOSE_DATA=yes make up STACK=test-moved");
  await succeed("make down");
});
