/** Two commands at a time, on one stack and on two stacks of a cloud: each takes its turn, and none works under another. */
import { mkdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, expect, it } from "vitest";
import { withFileLock } from "../../lib/file-lock";
import { stackDir, stackLock } from "../../tools/places";
import { TestCluster } from "../support/cluster";
import { foreignShell } from "../support/shell";
import { clusterFor, places, type Needs } from "../support/needs";

const needs: Needs = { preset: "local", values: { workerCount: 1 }, up: false };
const cluster = clusterFor("turns", needs);
/** Another stack on the same cloud. */
const second = new TestCluster(
  { stack: "test-turns-2", cloud: "test-turns", port: places.turns.port, network: "10.26" },
  "local",
  needs.values,
);
afterAll(() => second.destroy());

const machines = async (of: TestCluster): Promise<string[]> =>
  (await of.cloud`status --stack ${of.at.stack}`).split("\n").filter((line) => line.includes(` ${of.at.stack} `));

it("two `make up` build one cluster: one of them waits, and says for whom", async () => {
  cluster.exported = foreignShell; // a stack that is created there can be used from any other shell
  const runs = [cluster.start`up STAGE=machines`, cluster.start`up STAGE=machines`];
  const outcomes = await Promise.all(runs);
  expect(outcomes.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
  const waited = outcomes.filter(({ all }) => /Waiting for `make up STACK=test-turns` \(process \d+, since/.test(all!));
  expect(waited).toHaveLength(1);
  expect(waited[0]!.all).toMatch(/Resources:\s+\d+ unchanged/);
  cluster.exported = {};
  expect(await machines(cluster)).toHaveLength(2);
  expect(await cluster.strays()).toEqual([]);
});

it("the cloud is left to a stack that has no resources yet, but whose `make up` has begun", async () => {
  mkdirSync(stackDir(second.at.stack), { recursive: true });
  second.prepare();
  await withFileLock(
    stackLock(second.at.stack),
    () => undefined,
    async () => {
      await cluster.make`down`;
      expect(await cluster.cloud`status`).toContain("EC2 API at");
    },
  );
});

it("one stack is built while the other is destroyed", async () => {
  await cluster.make`up STAGE=machines`;
  const [building, destroying] = await Promise.all([second.start`up STAGE=machines`, cluster.start`down`]);
  expect([building.exitCode, destroying.exitCode], `${building.all}\n${destroying.all}`).toEqual([0, 0]);
  expect(await machines(second)).toHaveLength(2);
  expect(await machines(cluster)).toEqual([]);
  expect(await second.make`up STAGE=machines`).toMatch(/Resources:\s+\d+ unchanged/);
});

it("`make down` waits for a `make up` of the stack, and the last one stops the cloud", async () => {
  await second.make`down`;
  const building = cluster.start`up STAGE=machines`;
  await sleep(3000);
  const destroying = await cluster.tryMake`down`;
  expect((await building).exitCode).toBe(0);
  expect(destroying.exitCode, destroying.all).toBe(0);
  expect(destroying.all).toMatch(/Waiting for `make up STACK=test-turns`/);
  await expect(cluster.cloud`status`).rejects.toThrow(/cloud test-turns: down/);
});
