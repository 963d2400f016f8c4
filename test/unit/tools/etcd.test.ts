/** What the tools conclude about etcd's data: which machines have it, whether all of it is lost, whether a snapshot is whole. */
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { etcdMachines, lostWithAllData, stepsAfterEtcd } from "../../../tools/etcd/members";
import { refuseToLoseData } from "../../../tools/etcd/repair";
import { checkSnapshot, newestSnapshot } from "../../../tools/etcd/snapshot";
import type { Deployment } from "../../../tools/pulumi";
import type { Stack } from "../../../tools/stack";
import { readMember } from "../../../tools/status/machine";

const command = (step: string, machine: string, instance: string) => ({
  urn: `urn:pulumi:local::kubernetes-from-scratch::lab:bootstrap:Bootstrap$command:remote:Command::${step}@${machine}`,
  type: "command:remote:Command",
  id: "remote1",
  inputs: { triggers: [instance] },
});
const controllers = ["controller-0", "controller-1", "controller-2"];
const ha: Deployment = {
  resources: [
    { urn: "u", type: "pulumi:pulumi:Stack" },
    ...controllers.flatMap((name, index) => [
      command("machine", name, `i-${index}`),
      command("etcd", name, `i-${index}`),
    ]),
    command("machine", "worker-0", "i-9"),
  ],
};

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "etcd-"));
});
afterEach(() => {
  rmSync(dir, { recursive: true });
  vi.unstubAllEnvs();
});

describe("the machines that have the cluster's data", () => {
  it("are those on which the step etcd has run, with the instance on which it did", () => {
    expect(etcdMachines(ha).map(({ name, instanceId }) => [name, instanceId])).toEqual(
      controllers.map((name, index) => [name, `i-${index}`]),
    );
    expect(etcdMachines({})).toEqual([]);
  });

  it("are set up again from the API server on, if their data is given up", () => {
    const after = ["control-plane", "rbac", "departures", "kubelet", "pod-network", "nodes", "dns"];
    const resources = [...after, "no-longer-a-step"].map((step) => command(step, "controller-0", "i-0"));
    const found = stepsAfterEtcd({ resources: [...(ha.resources ?? []), ...resources] });
    expect(found.map(({ urn }) => urn.split("::").pop())).toEqual(after.map((step) => `${step}@controller-0`));
  });

  it("are all lost only if none of their instances exists", () => {
    expect(lostWithAllData(ha, new Set(["i-1"]))).toEqual([]);
    expect(lostWithAllData(ha, new Set(["i-9"]))).toEqual(controllers);
    expect(lostWithAllData({}, new Set())).toEqual([]);
  });
});

describe("the loss of all of them", () => {
  const stack = (): Stack => ({ name: "dev", dir }) as Stack;

  it("is refused, with the newest snapshot on this machine and the commands", () => {
    const refusal = (): void => refuseToLoseData(stack(), ha, new Set());
    expect(refusal).toThrow(/controller-0, controller-1, controller-2.*there is none on this machine/);
    mkdirSync(join(dir, "snapshots"));
    for (const day of [24, 26, 25]) writeFileSync(join(dir, `snapshots/etcd-202611${day}T0Z-controller-0.db`), "");
    expect(newestSnapshot(stack())).toContain("etcd-20261126T0Z");
    expect(refusal).toThrow(/LOSE_DATA=yes make up STACK=dev\. .*make restore STACK=dev SNAPSHOT=.*etcd-20261126T0Z/);
  });

  it("is accepted with LOSE_DATA=yes", () => {
    vi.stubEnv("LOSE_DATA", "yes");
    refuseToLoseData(stack(), ha, new Set());
  });

  it("is not claimed while one of them exists", () => refuseToLoseData(stack(), ha, new Set(["i-2"])));
});

describe("a snapshot", () => {
  const write = (content: Buffer): string => {
    writeFileSync(join(dir, "snapshot.db"), content);
    return join(dir, "snapshot.db");
  };
  const data = Buffer.alloc(100_000, "etcd");
  const whole = Buffer.concat([data, createHash("sha256").update(data).digest()]);

  it("is whole if the SHA-256 at its end matches", () => checkSnapshot(write(whole)));

  it.each([
    ["cut short", whole.subarray(0, -1)],
    ["damaged", Buffer.concat([Buffer.from("x"), whole.subarray(1)])],
    ["empty", Buffer.alloc(0)],
    ["only a sum", whole.subarray(-32)],
  ])("is refused if it is %s", async (_, content) => {
    await expect(checkSnapshot(write(content))).rejects.toThrow(/is not a complete snapshot/);
  });

  it("is refused if there is no such file", async () => {
    await expect(checkSnapshot(join(dir, "none"))).rejects.toThrow(`There is no file ${join(dir, "none")}.`);
  });
});

it("a member's answer includes when the newest snapshot on its machine was saved", () => {
  const status = `[{"Status":{"header":{"member_id":1},"version":"3.6.16","leader":1}}]\n[{"health":true}]\n`;
  expect(readMember(status).snapshot).toBeUndefined();
  expect(readMember(`${status}snapshot 1795000000\n`).snapshot).toEqual(new Date(1_795_000_000_000));
});
