/** High availability for real: three zones, a load balancer, failures with writes in flight, 3 -> 1 -> 3 in place. */
import { execa } from "execa";
import { describe, expect, it } from "vitest";
import { healthy, members, startsOf } from "../support/etcd";
import { failures } from "../support/failures";
import { eventually, TestCluster } from "../support/cluster";
import { clusterFor, type Needs } from "../support/needs";
import { whileWriting } from "../support/writing";

const needs: Needs = { preset: "local-ha" };
const cluster = clusterFor("ha", needs);
const { at } = cluster;

describe("three control-plane nodes behind a load balancer", () => {
  it("are all Ready, in three zones, with three voting members of etcd", async () => {
    await healthy(cluster);
    const nodes = (await cluster.kubectl`get nodes --no-headers`).split("\n");
    expect(nodes).toHaveLength(5);
    for (const node of nodes) expect(node).toMatch(/\sReady\s/);
    const zones =
      await cluster.kubectl`get nodes -o jsonpath={.items[*].metadata.labels.topology\\.kubernetes\\.io/zone}`;
    expect(new Set(zones.split(" ")).size).toBe(3);
  });

  it("are reached through the load balancer's name", async () => {
    const server = await cluster.kubectl`config view --minify -o jsonpath={.clusters[0].cluster.server}`;
    expect(server).toMatch(/^https:\/\/.*\.elb\..*:6443$/);
    expect(await cluster.kubectl`get --raw /readyz`).toBe("ok");
  });
});

it("is not affected by a second stack that is created, selected and destroyed on the same cloud", async () => {
  const second = new TestCluster({ ...at, stack: "test-beside", network: "10.14" }, "local", { workerCount: 1 });
  try {
    await second.make`up`;
    expect((await second.kubectl`get nodes -o name`).split("\n")).toHaveLength(2);
    const endpoints: string[] = [];
    for (const stack of [second.at.stack, at.stack]) {
      await cluster.pulumi`stack select ${stack}`;
      endpoints.push(await cluster.pulumi`stack output apiEndpoint`);
    }
    await cluster.pulumi`stack unselect`;
    expect(endpoints[0]).toBe("https://10.14.1.11:6443");
    expect(endpoints[1]).toContain("elb.");
    expect(await cluster.make`preview`).toMatch(/Resources:\s+\d+ unchanged/);
  } finally {
    await second.destroy();
  }
  await healthy(cluster);
  expect((await cluster.kubectl`get nodes -o name`).split("\n")).toHaveLength(5);
});

describe("while a client writes and reads", () => {
  it.each(failures.filter(({ long }) => !long).map((failure) => [failure.name, failure] as const))(
    "loses no acknowledged write: %s",
    async (name, { quorum, run }) => {
      const report = await run(cluster);
      console.log(`${name}: ${JSON.stringify(report)}`);
      expect(report.lost).toEqual([]);
      if (quorum === "lost") return;
      expect(report.givenUp).toBe(0);
      expect(report.longestGap).toBeLessThan(20);
    },
  );

  it("rolls a changed flag through the API servers, one at a time", async () => {
    cluster.configure({ apiServerArgs: { "audit-log-maxage": "31" } });
    const report = await whileWriting(cluster, async () => {
      await cluster.make`up`;
    });
    console.log(`rolling: ${JSON.stringify(report)}`);
    for (const controller of ["controller-0", "controller-1", "controller-2"])
      expect(await cluster.ssh(controller, "pgrep -af kube-apiserver")).toContain("--audit-log-maxage=31");
    expect(report.lost).toEqual([]);
    expect(report.givenUp).toBe(0);
    expect(new Set(await startsOf(cluster, "kube-apiserver")).size, "three restarts at three different times").toBe(3);
  });

  it("scales the control plane 3 -> 1 -> 3: members of etcd leave before their machines, and join again", async () => {
    const report = await whileWriting(cluster, async () => {
      cluster.configure({ controlPlaneCount: 1, apiEndpoint: "nlb" });
      await cluster.make`up`;
      expect((await members(cluster, "controller-0")).map(({ name }) => name)).toHaveLength(1);
      cluster.configure({ controlPlaneCount: 3 });
      await cluster.make`up`;
    });
    console.log(`3 -> 1 -> 3: ${JSON.stringify(report)}`);
    await healthy(cluster);
    expect(report.lost).toEqual([]);
    expect(report.longestGap).toBeLessThan(20);
    const nodes = await cluster.kubectl`get nodes -o name`;
    expect(nodes.split("\n")).toHaveLength(5);
  });
});

it("changes nothing when `make up` runs again", async () => {
  expect(await cluster.make`up`).toMatch(/Resources:\s+\d+ unchanged/);
});

it("removes the load balancer's name from this host with `make down`", async () => {
  await cluster.make`down`;
  await eventually("the load balancer's name to leave /etc/hosts", 20, async () => {
    const { stdout } = await execa("cat", ["/etc/hosts"]);
    return stdout.includes("elb.") ? { saw: stdout } : { done: undefined };
  });
});
