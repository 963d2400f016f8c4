/** `pulumi up` killed with SIGKILL, engine and all, at ten moments spread over the run; then `make up` must converge. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { Lab } from "../e2e/lab";
import { record } from "./results";

const moments = 10;
const lab = new Lab({ stack: "test-interrupt", cloud: "test-interrupt", port: 5013, network: "10.6" }, "local");
let whole: number;

beforeAll(async () => {
  const start = Date.now();
  await lab.make("up");
  whole = Date.now() - start;
});

afterAll(async () => {
  await lab.destroy();
});

test.each(Array.from({ length: moments }, (_, index) => index + 1))("killed at moment %i of 10", async (moment) => {
  await lab.make("down");
  const after = (whole * moment) / (moments + 1);
  const child = lab.start("up");
  await new Promise((resolve) => setTimeout(resolve, after));
  await lab.kill(child);
  const start = Date.now();
  await lab.make("up");
  const seconds = Math.round((Date.now() - start) / 1000);
  const nodes = await lab.kubectl("get", "nodes", "--no-headers");
  expect(nodes.split("\n").filter((line) => / Ready /.test(line))).toHaveLength(3);
  const machines = (await lab.cloud("status")).split("\n").filter((line) => /^(controller|worker)-/.test(line));
  expect(machines, "no duplicate").toHaveLength(3);
  expect(await lab.strays(), "no orphan").toEqual([]);
  expect(await lab.make("up")).toMatch(/Resources:\s+\d+ unchanged/);
  record(
    `killed after ${Math.round(after / 1000)} s of ${Math.round(whole / 1000)} s`,
    `converged in ${seconds} s, 3 machines, 0 changes after`,
  );
});
