/** A pool of workers that grows and shrinks: what each extra worker costs, and that the cost stays the same. */
import { expect, it } from "vitest";
import { clusterFor, type Needs } from "../support/needs";
import { record } from "../support/results";

const needs: Needs = { preset: "local" };
const cluster = clusterFor("workers", needs);

interface Cost {
  readonly seconds: number;
  readonly resources: number;
  readonly commands: number;
}

/** Resizes the pool; the cost is counted from the output of `make up`. */
async function resize(workerCount: number): Promise<Cost> {
  cluster.configure({ workerCount });
  const start = Date.now();
  const output = await cluster.make`up`;
  const seconds = (Date.now() - start) / 1000;
  const nodes = (await cluster.kubectl`get nodes --no-headers`).split("\n");
  expect(nodes.filter((line) => /^worker-\d+ +Ready /.test(line))).toHaveLength(workerCount);
  return {
    seconds,
    resources: Number(/\+ (\d+) created/.exec(output)?.[1] ?? 0),
    commands: [...output.matchAll(/^ *\+ +command:remote:Command \S+ created/gm)].length,
  };
}

it("scales 2 -> 3 -> 5 -> 2, and every added worker costs the same", async () => {
  const one = await resize(3);
  const two = await resize(5);
  const back = await resize(2);
  expect(two.resources).toBe(2 * one.resources);
  expect(two.commands).toBe(2 * one.commands);
  expect(one.resources).toBeLessThanOrEqual(12);
  expect(one.commands).toBeLessThanOrEqual(6);
  expect(back.resources).toBe(0);
  const each = ({ seconds, resources, commands }: Cost): string =>
    `${seconds.toFixed(0)} s, ${resources} resources, ${commands} commands`;
  record("a worker added, 2 -> 3", each(one));
  record("two workers added, 3 -> 5", each(two));
  record("three workers drained and removed, 5 -> 2", `${back.seconds.toFixed(0)} s`);
  expect(await cluster.make`up`).toMatch(/Resources:\s+\d+ unchanged/);
});
