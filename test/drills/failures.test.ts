/** Changes that roll through a highly available cluster, and every failure of one, with writes in flight. */
import { beforeAll, describe, expect, test } from "vitest";
import { healthy, startsOf } from "../support/etcd";
import { failures } from "../support/failures";
import { clusterFor, type Needs } from "../support/needs";
import { whileWriting } from "../support/writing";
import type { WriterReport } from "../support/writer";
import { record } from "../support/results";

const needs: Needs = { preset: "local-ha", values: { etcdVersion: "v3.6.15" } };
const cluster = clusterFor("failures", needs);
const controllers = ["controller-0", "controller-1", "controller-2"];

beforeAll(() => healthy(cluster));

function figures(name: string, { acknowledged, lost, longestGap, givenUp }: WriterReport): void {
  record(
    name,
    `${acknowledged} writes acknowledged, ${lost.length} lost, longest gap ${longestGap.toFixed(1)} s${givenUp ? `, ${givenUp} requests given up after a minute` : ""}`,
  );
}

describe("a change rolls through three control-plane machines", () => {
  test.each([
    { name: "etcd v3.6.15 -> v3.6.16", change: { etcdVersion: "v3.6.16" }, restarted: ["etcd"] },
    { name: "every leaf certificate renewed", change: { certificateEpoch: 1 }, restarted: ["etcd", "kube-apiserver"] },
  ])("$name", async ({ name, change, restarted }) => {
    cluster.configure(change);
    const before = await Promise.all(restarted.map((unit) => startsOf(cluster, unit)));
    const report = await whileWriting(cluster, async () => {
      await cluster.make`up`;
    });
    figures(`${name}, rolled`, report);
    expect(report.lost).toEqual([]);
    expect(report.givenUp).toBe(0);
    for (const [index, unit] of restarted.entries()) {
      const after = await startsOf(cluster, unit);
      after.forEach((start, machine) => expect(start, unit).not.toBe(before[index]?.[machine]));
      expect(new Set(after).size, "three restarts at three times").toBe(3);
    }
    await healthy(cluster);
    expect(await cluster.make`up`).toMatch(/Resources:\s+\d+ unchanged/);
  });

  test("etcd is the new one", async () => {
    for (const machine of controllers) expect(await cluster.ssh(machine, "etcd --version")).toContain("3.6.16");
  });
});

describe("while a client writes and reads", () => {
  test.each(failures.map((failure) => [failure.name, failure] as const))("%s", async (name, { quorum, run }) => {
    const report = await run(cluster);
    figures(name, report);
    expect(report.lost).toEqual([]);
    if (quorum === "kept") {
      expect(report.givenUp).toBe(0);
      expect(report.longestGap).toBeLessThan(20);
    }
  });

  test("after all of it, an unchanged `up` changes nothing", async () => {
    expect(await cluster.make`up`).toMatch(/Resources:\s+\d+ unchanged/);
  });
});
