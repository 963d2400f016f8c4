/** A stack's file with a run's values on top. */
import { describe, expect, it } from "vitest";
import { mergeStackFile } from "../../../tools/stack-file";

const committed = { config: { "kubernetes-from-scratch:workerCount": 2, "aws:region": "eu-central-1" } };

describe("the effective configuration of a stack", () => {
  it("is the committed one with this run's overrides", () => {
    expect(mergeStackFile(committed, undefined, { stage: "etcd" }).config).toEqual({
      "kubernetes-from-scratch:workerCount": 2,
      "kubernetes-from-scratch:stage": "etcd",
      "aws:region": "eu-central-1",
    });
  });

  it("forgets the overrides of the previous run", () => {
    const earlier = { encryptionsalt: "v1:a", config: { "kubernetes-from-scratch:stage": "etcd" } };
    expect(mergeStackFile(committed, earlier, {}).config).toEqual(committed.config);
  });

  it("keeps the salt of the stack's own secrets", () => {
    expect(mergeStackFile(committed, { encryptionsalt: "v1:old" }, {}).encryptionsalt).toBe("v1:old");
  });

  it("takes a salt from the committed file if something is encrypted with it, and only then", () => {
    const secret = { "kubernetes-from-scratch:encryptionKey": { secure: "v1:..." } };
    const salt = (config: Record<string, unknown>, earlier?: string) =>
      mergeStackFile({ encryptionsalt: "v1:own", config }, { ...(earlier && { encryptionsalt: earlier }) }, {})
        .encryptionsalt;
    expect(salt(secret, "v1:old")).toBe("v1:own");
    expect(salt(committed.config, "v1:old")).toBe("v1:old");
    expect(salt(committed.config)).toBeUndefined();
  });

  it("drops a key that is overridden with undefined, and leaves the committed object alone", () => {
    expect(mergeStackFile(committed, undefined, { workerCount: undefined }).config).toEqual({
      "aws:region": "eu-central-1",
    });
    expect(committed.config["kubernetes-from-scratch:workerCount"]).toBe(2);
  });
});
