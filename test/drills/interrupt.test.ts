/** `make up` killed with SIGKILL, engine included, at ten moments spread over the run: the next one must converge. */
import { beforeAll, expect, it } from "vitest";
import { clusterFor, type Needs } from "../support/needs";
import { record } from "../support/results";

const moments = 10;
const needs: Needs = { preset: "local", up: false };
const cluster = clusterFor("interrupt", needs);
/** How many resources a run has reported as created. */
const made = (output: string): number => [...output.matchAll(/ created /g)].length;
let whole: number;

beforeAll(async () => {
  whole = made(await cluster.make`up`);
});

it.each(Array.from({ length: moments }, (_, index) => index + 1))(
  "converges after being killed at moment %i of 10",
  async (moment) => {
    await cluster.make`down`;
    // by resources created, not by the clock: runs differ in speed
    const after = Math.round((whole * moment) / (moments + 1));
    await cluster.killAt(cluster.start`up`, (output) => made(output) >= after);
    const start = Date.now();
    await cluster.make`up`;
    const seconds = Math.round((Date.now() - start) / 1000);
    const nodes = await cluster.kubectl`get nodes --no-headers`;
    expect(nodes.split("\n").filter((line) => / Ready /.test(line))).toHaveLength(3);
    const machines = (await cluster.cloud`status`).split("\n").filter((line) => /^(controller|worker)-/.test(line));
    expect(machines, "no duplicate").toHaveLength(3);
    expect(await cluster.strays(), "no orphan").toEqual([]);
    expect(await cluster.make`up`).toMatch(/Resources:\s+\d+ unchanged/);
    record(
      `\`make up\` killed when ${after} of ${whole} resources had been created`,
      `converged in ${seconds} s, 3 machines, 0 changes afterwards`,
    );
  },
);
