/** A stack as a value: its files with a run's values on top, and what is concluded from them. */
import { copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeEach, describe, expect, it, vi } from "vitest";
import { UserError } from "../../../lib/errors";
import { openBuiltStack, openStack, Stack } from "../../../tools/stack";
import { inTurn } from "../../../tools/turn";

/** The tests' own checkout. */
const checkout = vi.hoisted(() => `/tmp/kfs-stack-test-${process.pid}`);
vi.mock("../../../tools/places", () => ({
  root: checkout,
  labDir: `${checkout}/.lab`,
  stackDir: (stack: string) => `${checkout}/.lab/${stack}`,
  stackLock: (stack: string) => `${checkout}/.lab/${stack}/lock`,
  stateDir: `${checkout}/.lab/state`,
  project: "kubernetes-from-scratch",
}));
mkdirSync(checkout, { recursive: true });
copyFileSync(join(__dirname, "../../../Pulumi.yaml"), join(checkout, "Pulumi.yaml"));
afterAll(() => rmSync(checkout, { recursive: true }));

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

describe("a stack that is to be destroyed", () => {
  const committed = join(checkout, "Pulumi.mine.yaml");
  const effective = join(checkout, ".lab/mine/Pulumi.mine.yaml");
  const state = join(checkout, ".lab/state/.pulumi/stacks/kubernetes-from-scratch/mine.json.gz");
  const file = (port: number): string => `config:\n  ${key("awsEndpoint")}: http://127.0.0.1:${port}\n`;
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  };
  const port = (): number | undefined => openBuiltStack("mine", () => 5003).port;

  beforeEach(() => {
    for (const path of [committed, join(checkout, ".lab")]) rmSync(path, { recursive: true, force: true });
    write(state, "");
  });

  it("is known by any of its files, and otherwise leaves no folder behind", async () => {
    const task = (): Promise<string> => Promise.resolve("done");
    expect(await inTurn("down", "mine", task)).toBe("done");
    rmSync(join(checkout, ".lab"), { recursive: true });
    await expect(inTurn("up", "mine", task)).rejects.toThrow('There is no stack "mine"');
    expect(existsSync(join(checkout, ".lab"))).toBe(false);
    write(committed, file(5001));
    expect(await inTurn("up", "mine", task)).toBe("done");
  });

  it("cannot be opened as one on AWS", () => {
    write(effective, file(5002));
    write(committed, file(5001));
    expect(openStack("mine").port).toBe(5001);
    write(committed, "config: {}\n");
    expect(() => openStack("mine")).toThrow(
      /awsEndpoint\n +http:\/\/127\.0\.0\.1:5002 -> \(unset\)[^]*make down STACK=mine/,
    );
    rmSync(state);
    expect(openStack("mine").isLocal).toBe(false);
  });

  it.each([
    ["as it was built, whatever its own file says now", file(5001), file(5002), 5002],
    ["although its own file is not YAML", "config: [", file(5002), 5002],
    ["although its own file is gone", undefined, file(5002), 5002],
    ["by its own file if the effective one is gone", file(5001), undefined, 5001],
    ["by its own file if the effective one is not YAML", file(5001), "config: [", 5001],
    ["although both are unusable, on the port of the cloud", "config: [", "config: {}", 5003],
    ["although both are gone", undefined, undefined, 5003],
  ])("is opened %s", (_, own, built, expected) => {
    if (own !== undefined) write(committed, own);
    if (built !== undefined) write(effective, built);
    expect(port()).toBe(expected);
  });

  it("is its own file's if it was not built here, as on AWS", () => {
    rmSync(state);
    write(committed, "config: {}");
    write(effective, file(5002));
    expect(port()).toBeUndefined();
    write(committed, "config: [");
    expect(port).toThrow(/Pulumi\.mine\.yaml is not valid YAML/);
  });
});
