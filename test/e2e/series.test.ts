/** The series' own shape: controllers at .11 to .13 of one subnet behind one HAProxy machine. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { healthy } from "../support/etcd";
import { failures } from "../support/failures";
import { Lab } from "../support/cluster";

const at = { stack: "test-series", cloud: "test-series", port: 5016, network: "10.9" };
const lab = new Lab(at, "local", { zones: 1, controlPlaneCount: 3, workerCount: 1, apiEndpoint: "haproxy" });

beforeAll(async () => {
  await lab.make("up");
});

afterAll(async () => {
  await lab.destroy();
});

test("has the series' names and addresses", async () => {
  await healthy(lab);
  const addresses = await lab.kubectl(
    "get",
    "nodes",
    "-o",
    'jsonpath={range .items[*]}{.metadata.name} {.status.addresses[?(@.type=="InternalIP")].address}{"\\n"}{end}',
  );
  expect(addresses.split("\n").sort()).toEqual([
    `controller-0 ${at.network}.1.11`,
    `controller-1 ${at.network}.1.12`,
    `controller-2 ${at.network}.1.13`,
    `worker-0 ${at.network}.1.21`,
  ]);
});

test("is reached through HAProxy, by the reader and by the nodes", async () => {
  const balancer = `${at.network}.1.10`;
  const server = await lab.kubectl("config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}");
  expect(server).toBe(`https://${balancer}:6443`);
  expect(await lab.ssh("worker-0", "getent ahostsv4 api.test-series.internal")).toContain(balancer);
});

test("goes on when a controller dies", async () => {
  const { run } = failures.find(({ name }) => name.startsWith("a whole control-plane machine")) ?? {};
  const report = await run?.(lab);
  console.log(JSON.stringify(report));
  expect(report?.lost).toEqual([]);
  expect(report?.longestGap).toBeLessThan(20);
});
