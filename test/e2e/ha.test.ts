/** High availability for real: three zones, a load balancer, failures with writes in flight, and 3 -> 1 in place. */
import { execa } from "execa";
import { describe, expect, test } from "vitest";
import { healthy, members, startsOf } from "../support/etcd";
import { failures } from "../support/failures";
import { eventually, TestCluster } from "../support/cluster";
import { clusterFor, type Needs } from "../support/needs";
import { whileWriting } from "../support/writing";

const needs: Needs = { preset: "local-ha" };
const cluster = clusterFor("ha", needs);
const { at } = cluster;

describe("three control-plane nodes behind a load balancer", () => {
  test("are all Ready, with three voting members of etcd and a DNS that answers", async () => {
    await healthy(cluster);
    const nodes = (await cluster.kubectl`get nodes --no-headers`).split("\n");
    expect(nodes).toHaveLength(5);
    for (const node of nodes) expect(node).toMatch(/\sReady\s/);
    const zones =
      await cluster.kubectl`get nodes -o jsonpath={.items[*].metadata.labels.topology\\.kubernetes\\.io/zone}`;
    expect(new Set(zones.split(" ")).size).toBe(3);
  });

  test("are reached by the load balancer's name", async () => {
    const server = await cluster.kubectl`config view --minify -o jsonpath={.clusters[0].cluster.server}`;
    expect(server).toMatch(/^https:\/\/.*\.elb\..*:6443$/);
    expect(await cluster.kubectl`get --raw /readyz`).toBe("ok");
  });
});

test("a second stack beside it comes, is switched to, and goes; the first does not notice", async () => {
  const beside = new TestCluster({ ...at, stack: "test-beside", network: "10.14" }, "local", { workerCount: 1 });
  try {
    await beside.make`up`;
    expect((await beside.kubectl`get nodes -o name`).split("\n")).toHaveLength(2);
    const endpoints: string[] = [];
    for (const stack of [beside.at.stack, at.stack]) {
      await cluster.pulumi`stack select ${stack}`;
      endpoints.push(await cluster.pulumi`stack output apiEndpoint`);
    }
    await cluster.pulumi`stack unselect`;
    expect(endpoints[0]).toBe("https://10.14.1.11:6443");
    expect(endpoints[1]).toContain("elb.");
    expect(await cluster.make`preview`).toMatch(/Resources:\s+\d+ unchanged/);
  } finally {
    await beside.destroy();
  }
  await healthy(cluster);
  expect((await cluster.kubectl`get nodes -o name`).split("\n")).toHaveLength(5);
});

describe("while a client writes and reads", () => {
  test.each(failures.filter(({ long }) => !long).map((failure) => [failure.name, failure] as const))(
    "%s: no acknowledged write is lost",
    async (name, { quorum, run }) => {
      const report = await run(cluster);
      console.log(`${name}: ${JSON.stringify(report)}`);
      expect(report.lost).toEqual([]);
      if (quorum === "lost") return;
      expect(report.givenUp).toBe(0);
      expect(report.longestGap).toBeLessThan(20);
    },
  );

  test("a changed flag rolls through the API servers, one at a time", async () => {
    cluster.configure({ apiServerArgs: { "audit-log-maxage": "31" } });
    const report = await whileWriting(cluster, async () => {
      await cluster.make`up`;
    });
    console.log(`rolling: ${JSON.stringify(report)}`);
    for (const controller of ["controller-0", "controller-1", "controller-2"])
      expect(await cluster.ssh(controller, "pgrep -af kube-apiserver")).toContain("--audit-log-maxage=31");
    expect(report.lost).toEqual([]);
    expect(report.givenUp).toBe(0);
    expect(new Set(await startsOf(cluster, "kube-apiserver")).size, "three restarts at three times").toBe(3);
  });

  test("3 -> 1 -> 3 control-plane nodes in place: members leave before their machines, and join again", async () => {
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

test("an unchanged `up` changes nothing", async () => {
  expect(await cluster.make`up`).toMatch(/Resources:\s+\d+ unchanged/);
});

test("`make down` takes the load balancer's name with it", async () => {
  await cluster.make`down`;
  await eventually("no name of the load balancer on this host", 20, async () => {
    const { stdout } = await execa("cat", ["/etc/hosts"]);
    return stdout.includes("elb.") ? { saw: stdout } : { done: undefined };
  });
});
