/** Every failure of a highly available cluster, with writes in flight. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { failures, healthy } from "../e2e/failures";
import { Lab } from "../e2e/lab";
import { record } from "./results";

const lab = new Lab({ stack: "test-failures", cloud: "test-failures", port: 5014, network: "10.7" }, "local-ha");

beforeAll(async () => {
  await lab.make("up");
  await healthy(lab);
});

afterAll(async () => {
  await lab.destroy();
});

test.each(failures)("$name", async ({ name, run }) => {
  const report = await run(lab);
  record(
    name,
    `${report.acknowledged} writes acknowledged, ${report.lost.length} lost, longest gap ${report.longestGap.toFixed(1)} s`,
  );
  expect(report.lost).toEqual([]);
});
