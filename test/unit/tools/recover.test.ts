import { describe, expect, test } from "vitest";
import { knownIds, orphans } from "../../../tools/recover";

const deployment = {
  resources: [
    { urn: "u1", type: "aws:ec2/vpc:Vpc", id: "vpc-1" },
    { urn: "u2", type: "aws:ec2/eip:Eip", id: "eipalloc-1", outputs: { allocationId: "eipalloc-1" } },
    { urn: "u3", type: "aws:ec2/keyPair:KeyPair", id: "stack-key", outputs: { keyPairId: "key-1" } },
    { urn: "u4", type: "pulumi:pulumi:Stack" },
  ],
};

describe("what an interrupted run left behind", () => {
  test("is what carries the stack's tags and is in no state, dependents first", () => {
    const tagged = [
      { type: "vpc", id: "vpc-2" },
      { type: "vpc", id: "vpc-1" },
      { type: "key-pair", id: "key-1" },
      { type: "subnet", id: "subnet-9" },
      { type: "instance", id: "i-9" },
      { type: "elastic-ip", id: "eipalloc-1" },
    ];
    expect(orphans(tagged, knownIds(deployment)).map(({ id }) => id)).toEqual(["i-9", "subnet-9", "vpc-2"]);
  });

  test("never holds a kind of resource that the tools cannot delete safely", () => {
    expect(orphans([{ type: "network-acl", id: "acl-1" }], new Set())).toEqual([]);
  });
});
