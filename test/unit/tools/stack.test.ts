/** A stack as a value: its files with a run's values on top, and what is concluded from them. */
import { describe, expect, it } from "vitest";
import { UserError } from "../../../lib/errors";
import { openStack, Stack } from "../../../tools/stack";

const key = (name: string): string => `kubernetes-from-scratch:${name}`;
const local = { adminCidr: "203.0.113.7/32", awsEndpoint: "http://127.0.0.1:5001" };
const stackOf = (values: Record<string, unknown>, overrides = {}): Stack => {
  const config = Object.fromEntries(Object.entries(values).map(([name, value]) => [key(name), value]));
  return new Stack("mine", { committed: { config } }, overrides);
};

describe("a stack", () => {
  it("has the project's defaults for what its file leaves out", () => {
    expect(stackOf(local).region).toBe("ap-southeast-1");
    expect(stackOf(local).config()).toMatchObject({ region: "ap-southeast-1", clusterName: "mine", workerCount: 2 });
  });

  it("uses a run's values everywhere: in checks, in derived values, and in the file for Pulumi", () => {
    const values = { workerCount: 3, region: "eu-west-1", awsEndpoint: "http://127.0.0.1:5077" };
    const stack = stackOf(local, values);
    expect(stack.config()).toMatchObject(values);
    expect(stack).toMatchObject({ region: "eu-west-1", awsEndpoint: "http://127.0.0.1:5077", port: 5077 });
    for (const [name, value] of Object.entries(values)) expect(stack.effective.config?.[key(name)]).toBe(value);
    expect(stack.overridden).toEqual(Object.keys(values));
  });

  it("is on AWS without an endpoint, or with one on another machine", () => {
    expect(stackOf({}).isLocal).toBe(false);
    expect(stackOf({ awsEndpoint: "" }).isLocal).toBe(false);
    expect(stackOf({ awsEndpoint: "https://ec2.example.org" }).isLocal).toBe(false);
    expect(stackOf(local, { awsEndpoint: undefined }).isLocal).toBe(false);
    expect(stackOf(local).isLocal).toBe(true);
    expect(stackOf({ awsEndpoint: "http://localhost" }).port).toBe(80);
  });

  it("reports an endpoint that is not a URL together with other errors, and on its own when asked for the port", () => {
    const stack = stackOf({ awsEndpoint: "5001", workerCount: 0 });
    expect(() => stack.config()).toThrow(/workerCount[^]*awsEndpoint|awsEndpoint[^]*workerCount/);
    expect(() => stack.port).toThrow("awsEndpoint of stack mine is not a URL: 5001.");
  });

  it("leaves encrypted values to Pulumi, and rejects a secret in plain text", () => {
    const encrypted = { ...local, encryptionKey: { secure: "v1:..." }, workerCount: { secure: "v1:..." } };
    expect(stackOf(encrypted).config()).toMatchObject({ encryptionKey: undefined, workerCount: 2 });
    const plain = Buffer.alloc(32).toString("base64");
    expect(() => stackOf({ ...local, encryptionKey: plain }).config()).toThrow(/encryptionKey\n.*plain text/);
    expect(() => stackOf({ ...local, encryptionKey: plain }).config()).not.toThrow(plain);
  });

  it("can be opened with an invalid configuration, because destroying it does not need a valid one", () => {
    expect(stackOf({ ...local, workerCount: "many" }).isLocal).toBe(true);
  });

  it("falls back to its effective file if its own was removed, and needs one of them", () => {
    const earlier = { config: { [key("awsEndpoint")]: "http://127.0.0.1:5009" } };
    expect(new Stack("mine", { earlier }).port).toBe(5009);
    expect(() => openStack("nowhere")).toThrow(UserError);
    expect(() => openStack("nowhere")).toThrow(/no stack "nowhere".*Copy the nearest preset/);
  });

  it("has an unused salt only if its own file has one and nothing is encrypted with it", () => {
    const salted = { encryptionsalt: "v1:own", config: {} };
    expect(new Stack("mine", { committed: salted }).hasUnusedSalt).toBe(true);
    expect(new Stack("mine", { earlier: salted }).hasUnusedSalt).toBe(false);
    const secrets = { ...salted, config: { [key("encryptionKey")]: { secure: "v1:..." } } };
    expect(new Stack("mine", { committed: secrets }).hasUnusedSalt).toBe(false);
  });
});
