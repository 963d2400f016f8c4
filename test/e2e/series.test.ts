/** The shape of the cluster in the series: controllers at .11 to .13 of one subnet, behind one HAProxy machine. */
import { expect, it } from "vitest";
import { healthy } from "../support/etcd";
import { machineKilled } from "../support/failures";
import { clusterFor, type Needs } from "../support/needs";

const needs: Needs = {
  preset: "local",
  values: { zones: 1, controlPlaneCount: 3, workerCount: 1, apiEndpoint: "haproxy" },
};
const cluster = clusterFor("series", needs);
const { network } = cluster.at;

it("has the series' names and addresses", async () => {
  await healthy(cluster);
  const address = '{.status.addresses[?(@.type=="InternalIP")].address}';
  const nameAndAddress = `jsonpath={range .items[*]}{.metadata.name} ${address}{"\\n"}{end}`;
  const addresses = await cluster.kubectl`get nodes -o ${nameAndAddress}`;
  expect(addresses.split("\n").sort()).toEqual([
    `controller-0 ${network}.1.11`,
    `controller-1 ${network}.1.12`,
    `controller-2 ${network}.1.13`,
    `worker-0 ${network}.1.21`,
  ]);
});

it("is reached through HAProxy, by the reader and by the nodes", async () => {
  const balancer = `${network}.1.10`;
  const server = await cluster.kubectl`config view --minify -o jsonpath={.clusters[0].cluster.server}`;
  expect(server).toBe(`https://${balancer}:6443`);
  expect(await cluster.ssh("worker-0", "getent ahostsv4 api.test-series.internal")).toContain(balancer);
});

it("keeps serving when a controller dies", async () => {
  const report = await machineKilled.run(cluster);
  console.log(JSON.stringify(report));
  expect(report.lost).toEqual([]);
  expect(report.longestGap).toBeLessThan(20);
});
