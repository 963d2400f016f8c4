/** Machines become larger and smaller, one at a time, while a client writes; and their volumes grow. */
import { expect, it } from "vitest";
import { kibibytes } from "../../labs/framework/quantity";
import { effectiveFile } from "../../tools/stack-file";
import { eventually } from "../support/cluster";
import { type Doors, Downtime } from "../support/downtime";
import { healthy } from "../support/etcd";
import { clusterFor, type Needs } from "../support/needs";
import { record } from "../support/results";
import type { WriterReport } from "../support/writer";
import { whileWriting } from "../support/writing";

const needs: Needs = { preset: "local-ha" };
const cluster = clusterFor("instance-types", needs);
const names = ["controller-0", "controller-1", "controller-2", "worker-0", "worker-1"];

/** Memory that each node reports, in whole GiB. */
async function capacities(): Promise<number[]> {
  const memory = await cluster.kubectl`get nodes -o jsonpath={.items[*].status.capacity.memory}`;
  return memory.split(" ").map((text) => Math.round(kibibytes(text) / 2 ** 20));
}

async function doors(): Promise<Doors> {
  type Nodes = { items: { metadata: { name: string }; status: { addresses: { type: string; address: string }[] } }[] };
  const { items } = JSON.parse(await cluster.kubectl`get nodes -o json`) as Nodes;
  return Object.fromEntries(
    items.map(({ metadata: { name }, status }) => {
      const host = status.addresses.find(({ type }) => type === "InternalIP")?.address ?? "";
      return [name, (name.startsWith("controller") ? [22, 6443] : [22]).map((port) => ({ host, port }))];
    }),
  );
}

/** Names of the nodes that are cordoned. */
const cordoned = async (): Promise<string[]> =>
  (await cluster.kubectl`get nodes -o name --field-selector spec.unschedulable=true`).split("\n").filter(Boolean);

/** Watches the machines and writes while something happens. */
async function rolled(work: () => Promise<void>): Promise<{ report: WriterReport; downtime: Downtime }> {
  const downtime = new Downtime(await doors());
  try {
    return { report: await whileWriting(cluster, work), downtime };
  } finally {
    await downtime.stop();
  }
}

const result = (seconds: number, { acknowledged, lost, longestGap }: WriterReport): string =>
  `${seconds} s, ${acknowledged} writes, ${lost.length} lost, longest gap ${longestGap.toFixed(1)} s`;

it("gives every machine another type, one at a time, and goes on after a kill", async () => {
  expect(await capacities()).toEqual([4, 4, 4, 4, 4]);
  cluster.configure({ controlPlaneInstanceType: "t3.large", workerInstanceType: "t3.large" });
  expect(await cluster.make`preview ARGS=--diff`).toMatch(/instanceType *: "t3\.medium" => "t3\.large"/);
  const start = Date.now();
  const { report, downtime } = await rolled(async () => {
    // while one machine is being changed, and another one has been
    await cluster.killAt(cluster.start`up`, (output) => /controller-1 updating/.test(output));
    const output = await cluster.make`up`;
    console.log(output);
  });
  console.log(JSON.stringify(report), [...downtime.together]);
  expect([...downtime.together].filter((down) => down.includes(" "))).toEqual([]);
  expect(downtime.machines).toEqual(names);
  expect(report.lost).toEqual([]);
  expect(report.givenUp).toBe(0);
  await healthy(cluster);
  expect(await capacities()).toEqual([8, 8, 8, 8, 8]);
  expect(await cordoned()).toEqual([]);
  expect(await cluster.make`up`).toMatch(/Resources:\s+\d+ unchanged/);
  record(
    "t3.medium -> t3.large on 5 machines, `make up` killed in between",
    result(Math.round((Date.now() - start) / 1000), report),
  );
});

it("gives them back their former type, by Pulumi alone, and leaves a node cordoned that its owner cordoned", async () => {
  await cluster.kubectl`cordon worker-1`;
  cluster.configure({ controlPlaneInstanceType: "t3.medium", workerInstanceType: "t3.medium" });
  cluster.prepare();
  await cluster.make`preview`; // writes the configuration that Pulumi reads
  const start = Date.now();
  const { report, downtime } = await rolled(async () => {
    await cluster.pulumi`up --yes --skip-preview --non-interactive --stack ${cluster.at.stack} --config-file ${effectiveFile(cluster.at.stack)}`;
  });
  console.log(JSON.stringify(report), [...downtime.together]);
  expect([...downtime.together].filter((down) => down.includes(" "))).toEqual([]);
  expect(downtime.machines).toEqual(names);
  expect(report.lost).toEqual([]);
  expect(report.givenUp).toBe(0);
  await healthy(cluster);
  expect(await capacities()).toEqual([4, 4, 4, 4, 4]);
  expect(await cordoned()).toEqual(["node/worker-1"]);
  await cluster.kubectl`uncordon worker-1`;
  record("t3.large -> t3.medium on 5 machines", result(Math.round((Date.now() - start) / 1000), report));
  await eventually("every node to be Ready", 60, async () => {
    const nodes = await cluster.kubectl`get nodes --no-headers`;
    return / NotReady/.test(nodes) ? { saw: nodes } : { done: undefined };
  });
});
