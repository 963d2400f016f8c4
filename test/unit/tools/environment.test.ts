/** What of a shell's environment reaches a stack's commands. */
import { rmSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { shield, unlocks } from "../../../tools/environment";
import { Stack } from "../../../tools/stack";

const dir = vi.hoisted(() => `/tmp/kfs-environment-test-${process.pid}`);
vi.mock("../../../tools/places", async (original) => ({
  ...(await original<object>()),
  passphraseFile: `${dir}.passphrase`,
}));

/** Salt of a stack that Pulumi created with the passphrase "x". */
const SALT = "v1:y1859czMZQ0=:v1:Rtb7PSg9sKodBHbd:ra+9fsOPQ4CgKoklAaBIMC1zzjLrAg==";
const key = (name: string): string => `kubernetes-from-scratch:${name}`;
const config = {
  [key("region")]: "eu-west-1",
  [key("vpcCidr")]: "10.9.0.0/16",
  [key("awsEndpoint")]: "http://127.0.0.1:5001",
};
const local = (encryptionsalt?: string): Stack =>
  new Stack("local", { committed: { config }, earlier: encryptionsalt === undefined ? undefined : { encryptionsalt } });
const onAws = new Stack("dev", { committed: { config: { [key("region")]: "eu-west-1" } } });

beforeAll(() => writeFileSync(`${dir}.passphrase`, "of the lab\n"));
afterAll(() => rmSync(`${dir}.passphrase`));

describe("AWS settings", () => {
  const employers = {
    AWS_PROFILE: "corp",
    AWS_SESSION_TOKEN: "t",
    AWS_ENDPOINT_URL_EC2: "https://corp",
    HOME: "/root",
  };

  it("are kept from the local cloud, with the user's files", () => {
    const changes = shield(local(), employers);
    for (const name of ["AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_EC2"])
      expect(changes).toHaveProperty(name, undefined);
    expect(changes).toMatchObject({ AWS_CONFIG_FILE: "/dev/null", AWS_SHARED_CREDENTIALS_FILE: "/dev/null" });
    expect(changes).not.toHaveProperty("HOME");
  });

  it("reach a stack on AWS, also from a shell that was set up for the local cloud", () => {
    expect(Object.keys(shield(onAws, employers)).filter((name) => name.startsWith("AWS_"))).toEqual([]);
    const after = shield(onAws, shield(local(), employers));
    expect(after).toHaveProperty("AWS_CONFIG_FILE", undefined);
    expect(after).toHaveProperty("AWS_SHARED_CREDENTIALS_FILE", undefined);
    expect(shield(onAws, { AWS_CONFIG_FILE: "/dev/null" })).not.toHaveProperty("AWS_CONFIG_FILE");
  });
});

describe("a passphrase in the shell", () => {
  const theirs = { PULUMI_CONFIG_PASSPHRASE: "x" };

  it("is not used for a local stack, which has its own", () => {
    expect(shield(local(), theirs)).toHaveProperty("PULUMI_CONFIG_PASSPHRASE", undefined);
    expect(shield(local(), {})).not.toHaveProperty("PULUMI_CONFIG_PASSPHRASE");
  });

  it("is used for a local stack that an earlier version encrypted with it", () => {
    expect(shield(local(SALT), theirs)).not.toHaveProperty("PULUMI_CONFIG_PASSPHRASE");
    expect(shield(local(SALT), { PULUMI_CONFIG_PASSPHRASE: "y" })).toHaveProperty(
      "PULUMI_CONFIG_PASSPHRASE",
      undefined,
    );
  });

  it("is used for a stack on AWS, unless the shell names the lab's file", () => {
    expect(shield(onAws, theirs)).not.toHaveProperty("PULUMI_CONFIG_PASSPHRASE");
    const evaluated = { ...theirs, PULUMI_CONFIG_PASSPHRASE_FILE: `${dir}.passphrase` };
    expect(shield(onAws, evaluated)).toHaveProperty("PULUMI_CONFIG_PASSPHRASE", undefined);
  });

  it("is recognised by Pulumi's salt", () => {
    expect([unlocks("x", SALT), unlocks("y", SALT), unlocks("x", "v1:broken")]).toEqual([true, false, false]);
  });
});

describe("a proxy", () => {
  it("is never used for this machine, and the machines, pods and services of a local stack", () => {
    const { no_proxy: lower, NO_PROXY: upper } = shield(local(), { NO_PROXY: "corp.example, 192.0.2.1," });
    expect(lower).toBe(upper);
    expect(lower?.split(",")).toEqual([
      ...["corp.example", "192.0.2.1", "localhost", "127.0.0.1", "::1"],
      ...["10.9.0.0/16", "10.200.0.0/16", "10.32.0.0/24", ".elb.eu-west-1.amazonaws.com"],
    ]);
  });

  it("may be the way to a stack on AWS", () => {
    expect(shield(onAws, {})["no_proxy"]).toBe("localhost,127.0.0.1,::1");
    expect(shield(onAws, { no_grpc_proxy: "a" })["no_grpc_proxy"]).toBe("a,localhost,127.0.0.1,::1");
  });

  it("does not change anymore once the shell has evaluated what was printed", () => {
    const once = shield(local(), { https_proxy: "http://127.0.0.1:9" });
    expect(shield(local(), once)).toEqual(once);
  });
});
