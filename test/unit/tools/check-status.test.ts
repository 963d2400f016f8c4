/** The check behind `make status` and at the end of `make up`: how long it waits, and how it ends. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Facts } from "../../../tools/status/facts";
import type { StackOutputs } from "../../../tools/outputs";
import type { Deployment } from "../../../tools/pulumi";
import type { Stack } from "../../../tools/stack";
import { checkStatus } from "../../../tools/status";
import { answer } from "../../../tools/status/answer";
import { readMember } from "../../../tools/status/machine";
import { proofsSince } from "../../../tools/summary";

/** States of worker-1, one per time that it is asked for; the last one stays. */
let states: string[] = [];
let asked = 0;

vi.mock("../../../tools/status/probes", () => ({
  gatherFacts: (_stack: unknown, subject: Facts["subject"]): Facts => {
    const state = states[Math.min(asked++, states.length - 1)] ?? "";
    const instances = { value: new Map([["i-1", { state, isImpaired: false, publicIp: undefined }]]) };
    return { subject, at: new Date(), instances, ssh: { "worker-1": { value: "" } }, etcd: {}, apiServers: {} };
  },
}));

const stack = { name: "local", isLocal: true, region: "ap-southeast-1", dir: "/tmp/.lab/local" } as Stack;
const outputs = {
  nodes: [{ name: "worker-1", role: "worker", instanceId: "i-1", privateIp: "10.1.1.22", zone: "a" }],
  sshConfig: "",
  certificateExpiry: {},
  proofs: {},
} as unknown as StackOutputs;

describe("a check", () => {
  const printed: string[] = [];
  beforeEach(() => {
    asked = 0;
    printed.length = 0;
    vi.spyOn(console, "log").mockImplementation((text: string) => printed.push(text));
    vi.spyOn(process.stderr, "write").mockReturnValue(true);
  });
  afterEach(() => vi.restoreAllMocks());

  it("fails with every fault and its remedy, below the report", async () => {
    states = ["stopped"];
    await expect(checkStatus(stack, outputs)).rejects.toThrow(/1 fault:\n {2}worker-1 is stopped\.\n {4}`make up`/);
    expect(asked).toBe(1);
    expect(printed.join("\n")).toMatch(/worker-1 .* stopped/);
  });

  it("asks once without patience, however short the answer took", async () => {
    vi.spyOn(Date, "now").mockReturnValue(1_000_000);
    states = ["pending", "running"];
    await expect(checkStatus(stack, outputs)).rejects.toThrow(/worker-1 is pending/);
    expect(asked).toBe(1);
  });

  it("waits for faults to pass", async () => {
    states = ["pending", "running"];
    await checkStatus(stack, outputs, 5);
    expect(asked).toBe(2);
    expect(printed.join("\n"), "shows the final state only").not.toMatch(/pending/);
  });

  it("waits only as long as it may", async () => {
    states = ["pending"];
    await expect(checkStatus(stack, outputs, 1.5)).rejects.toThrow(/worker-1 is pending/);
    expect(asked).toBeGreaterThan(1);
  });
});

describe("an answer", () => {
  it("is what the question returns, or why it fails", async () => {
    expect(await answer(1, async () => Promise.resolve("yes"))).toEqual({ value: "yes" });
    expect(await answer(1, () => Promise.reject(new Error("no route")))).toEqual({ error: "no route" });
  });

  it("is not awaited for ever, and the question is called off", async () => {
    let signal: AbortSignal | undefined;
    const silent = answer(0.1, (given) => {
      signal = given;
      return new Promise(() => undefined);
    });
    expect(await silent).toEqual({ error: "no response within 0.1 s" });
    expect(signal?.aborted).toBe(true);
  });
});

describe("a member of etcd", () => {
  const status = (leader: number) =>
    JSON.stringify([{ Endpoint: "", Status: { header: { member_id: 7 }, version: "3.6.16", leader } }]);

  it("is healthy, or says why not", () => {
    const healthy = `[{"endpoint":"","health":true,"took":"4ms"}]`;
    expect(readMember(`${healthy}\n${status(7)}\n`)).toEqual({ version: "3.6.16", isLeader: true, isLearner: false });
    const unhealthy = `[{"endpoint":"","health":false,"error":"context deadline exceeded"}]`;
    expect(readMember(`${status(3)}\n${unhealthy}\n`)).toMatchObject({
      isLeader: false,
      fault: "context deadline exceeded",
    });
  });

  it("has not responded without a status", () => {
    expect(() => readMember(`[{"health":false,"error":"connection refused"}]`)).toThrow("connection refused");
    expect(() => readMember("")).toThrow("etcdctl reports nothing");
  });
});

it("proofs are those of the steps that ran since then", () => {
  const command = (name: string, modified: string) => ({
    urn: `urn:pulumi:local::kubernetes-from-scratch::lab:bootstrap:Bootstrap$command:remote:Command::${name}`,
    type: "command:remote:Command",
    modified,
  });
  const deployment: Deployment = {
    resources: [
      command("etcd@controller-0", "2026-11-25T19:20:00Z"),
      command("dns@controller-0", "2026-11-25T20:00:01.5Z"),
      { urn: "urn::worker-0", type: "aws:ec2/instance:Instance", modified: "2026-11-25T20:00:02Z" },
    ],
  };
  const proofs = {
    "etcd@controller-0": "has a quorum",
    "dns@controller-0": "resolves",
    "machine@worker-0": "is set up",
  };
  expect(proofsSince(new Date("2026-11-25T20:00:00Z"), deployment, proofs)).toEqual(["dns@controller-0: resolves"]);
});
