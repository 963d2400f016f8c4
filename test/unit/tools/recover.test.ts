/** What recovery concludes from comparing a state with what exists. */
import { describe, expect, it } from "vitest";
import { deletionOrder } from "../../../tools/recover/cloud";
import { remedy } from "../../../tools/recover/instance";
import { halfChangedMachines, knownIds, lostMachines, movedMachines, orphans } from "../../../tools/recover/orphans";

const deployment = {
  resources: [
    { urn: "u1", type: "aws:ec2/vpc:Vpc", id: "vpc-1" },
    { urn: "u2", type: "aws:ec2/eip:Eip", id: "eipalloc-1", outputs: { allocationId: "eipalloc-1" } },
    { urn: "u3", type: "aws:ec2/keyPair:KeyPair", id: "stack-key", outputs: { keyPairId: "key-1" } },
    { urn: "u4", type: "pulumi:pulumi:Stack" },
    { urn: "u5", type: "aws:ec2/instance:Instance", id: "i-1", outputs: { rootBlockDevice: { volumeId: "vol-1" } } },
  ],
};

describe("what an interrupted run left behind", () => {
  it("is what carries the stack's tags but is not in its state, dependents first", () => {
    const tagged = [
      { type: "vpc", id: "vpc-2" },
      { type: "vpc", id: "vpc-1" },
      { type: "key-pair", id: "key-1" },
      { type: "volume", id: "vol-1" },
      { type: "subnet", id: "subnet-9" },
      { type: "instance", id: "i-9" },
      { type: "elastic-ip", id: "eipalloc-1" },
    ];
    expect(orphans(tagged, knownIds(deployment), deletionOrder).map(({ id }) => id)).toEqual([
      "i-9",
      "subnet-9",
      "vpc-2",
    ]);
  });

  it("never includes a type of resource that the tools cannot delete safely", () => {
    expect(orphans([{ type: "network-acl", id: "acl-1" }], new Set(), deletionOrder)).toEqual([]);
  });
});

describe("machines of the state", () => {
  const instance = (name: string, id: string, publicIp?: string) => ({
    urn: `urn:pulumi:local::kubernetes-from-scratch::lab:infra:Machines$aws:ec2/instance:Instance::${name}`,
    type: "aws:ec2/instance:Instance",
    id,
    outputs: { publicIp },
  });
  const state = {
    resources: [
      ...deployment.resources.slice(0, 4),
      instance("worker-0", "i-1", "203.0.113.1"),
      instance("worker-1", "i-2"),
    ],
  };

  it("may be half changed if a run was killed while it changed them", () => {
    const pending = [
      { type: "updating", resource: instance("worker-1", "i-2") },
      { type: "creating", resource: instance("worker-2", "i-3") },
      { type: "updating", resource: deployment.resources[0]! },
    ];
    expect(halfChangedMachines({ ...state, pending_operations: pending })).toEqual(["worker-1"]);
    expect(halfChangedMachines(state)).toEqual([]);
  });

  it("are lost if their instance is no longer live", () => {
    expect(lostMachines(state, new Map([["i-1", "203.0.113.1"]]))).toEqual(["worker-1"]);
    expect(lostMachines(state, new Map([...["i-1", "i-2"].map((id) => [id, undefined] as const)]))).toEqual([]);
    expect(lostMachines({}, new Map())).toEqual([]);
  });

  it("have moved if their public address has changed, appeared or disappeared", () => {
    const moved = (first?: string, second?: string) =>
      movedMachines(
        state,
        new Map([
          ["i-1", first],
          ["i-2", second],
        ]),
      );
    expect(moved("203.0.113.1")).toEqual([]);
    expect(moved("203.0.113.9")).toEqual(["worker-0"]);
    expect(moved(undefined, "203.0.113.2")).toEqual(["worker-0", "worker-1"]);
    expect(movedMachines(state, new Map())).toEqual([]);
  });
});

describe("what brings an instance up", () => {
  it.each([
    ["stopped", false, "start"],
    ["running", true, "reboot"],
    ["running", false, undefined],
    ["pending", false, "wait"],
    ["stopping", false, "wait"],
    ["shutting-down", false, undefined],
    ["terminated", false, undefined],
  ])("%s (impaired: %s): %s", (state, isImpaired, needed) =>
    expect(remedy({ state, isImpaired, publicIp: undefined })).toBe(needed),
  );

  it("nothing, if it does not exist", () => expect(remedy(undefined)).toBeUndefined());
});
