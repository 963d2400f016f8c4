/** Changes that roll through a highly available cluster, and failures that it must survive, with writes in flight. */
import { beforeAll, describe, expect, it } from "vitest";
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
  const given = givenUp ? `, ${givenUp} requests given up after a minute` : "";
  const gap = `longest gap ${longestGap.toFixed(1)} s`;
  record(name, `${acknowledged} writes acknowledged, ${lost.length} lost, ${gap}${given}`);
}

describe("a change that rolls through three control-plane machines", () => {
  it.each([
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
      expect(new Set(after).size, "three restarts at three different times").toBe(3);
    }
    await healthy(cluster);
    expect(await cluster.make`up`).toMatch(/Resources:\s+\d+ unchanged/);
  });

  it("leaves the new etcd on every machine", async () => {
    for (const machine of controllers) expect(await cluster.ssh(machine, "etcd --version")).toContain("3.6.16");
  });
});

describe("while a client writes and reads", () => {
  it.each(failures.map((failure) => [failure.name, failure] as const))(
    "loses no acknowledged write: %s",
    async (name, { quorum, run }) => {
      const report = await run(cluster);
      figures(name, report);
      expect(report.lost).toEqual([]);
      if (quorum === "kept") {
        expect(report.givenUp).toBe(0);
        expect(report.longestGap).toBeLessThan(20);
      }
    },
  );

  it("changes nothing when `make up` runs again after all that", async () => {
    expect(await cluster.make`up`).toMatch(/Resources:\s+\d+ unchanged/);
  });
});
