/** A whole `make up` with everything outside tools/ mocked: how often it opens Pulumi's files, and what it passes on. */
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { parse } from "yaml";
import { up } from "../../../tools/commands";

const seen = vi.hoisted(() => ({
  /** Calls of node:fs that name a Pulumi file: "<function> <path>". */
  files: [] as string[],
  commands: [] as string[][],
  releases: [] as string[],
  cloud: [] as unknown[],
  clients: [] as unknown[],
  /** How often the stack was asked how it is. */
  asked: 0,
}));

/** The test's own checkout. */
const root = vi.hoisted(() => `/tmp/kfs-up-test-${process.pid}`);

/** node:fs, recording every call that names a Pulumi file. */
const recording = vi.hoisted(() => (original: object) => {
  const wrapped = Object.entries(original).map(([name, value]: [string, unknown]) => {
    if (typeof value !== "function" || /^[A-Z]/.test(name)) return [name, value];
    const call = (...args: unknown[]): unknown => {
      for (const arg of args) if (/Pulumi\.[\w.]*yaml$/.test(String(arg))) seen.files.push(`${name} ${String(arg)}`);
      return (value as (...all: unknown[]) => unknown)(...args);
    };
    return [name, call];
  });
  return Object.fromEntries(wrapped) as object;
});

vi.mock("node:fs", async (original) => recording(await original()));
vi.mock("node:fs/promises", async (original) => recording(await original()));
vi.mock("../../../tools/places", () => ({
  root,
  labDir: `${root}/.lab`,
  stackDir: (stack: string) => `${root}/.lab/${stack}`,
  stackLock: (stack: string) => `${root}/.lab/${stack}/lock`,
  stateDir: `${root}/.lab/state`,
  cloudsDir: `${root}/.lab/cloud`,
  passphraseFile: `${root}/.lab/passphrase`,
  project: "kubernetes-from-scratch",
}));
vi.mock("../../../tools/preflight", () => ({ preflight: (stack: { config(): unknown }) => stack.config() }));
vi.mock("../../../cloud", () => ({
  cloudUp: (options: unknown) => seen.cloud.push(options),
  refuseCopyOf: () => undefined,
}));
vi.mock("../../../supply/pulumi", () => ({ ensurePulumi: () => ({ binDir: "/bin", environment: {} }) }));
vi.mock("../../../supply/images", () => ({
  ensureImages: () => ({ registryDir: "/registry" }),
  ensureOffline: () => undefined,
}));
vi.mock("../../../supply/releases", () => ({
  mirrorPath: (url: string) => url,
  ensureReleases: (releases: { url: string }[]) => {
    seen.releases.push(...releases.map(({ url }) => url));
    return "/mirror";
  },
}));
vi.mock("../../../tools/recover/cloud", () => ({
  deletionOrder: [],
  clientsOf: ({ region, awsEndpoint }: Record<string, unknown>) => seen.clients.push({ region, awsEndpoint }),
  describeInstances: () => new Map(),
  liveInstances: () => new Map(),
  taggedResources: () => [],
  deleteResource: () => undefined,
}));
vi.mock("../../../tools/status/probes", () => ({
  gatherFacts: (_stack: unknown, subject: unknown) => {
    const state = ++seen.asked > 1 ? "running" : "pending";
    const instances = { value: new Map([["i-1", { state, isImpaired: false }]]) };
    return { subject, at: new Date(), instances, ssh: { "worker-1": { value: "" } }, etcd: {}, apiServers: {} };
  },
}));
vi.mock("execa", () => ({
  execa: (_program: string, args: string[]) => {
    seen.commands.push(args);
    const nodes = [{ name: "worker-1", role: "worker", instanceId: "i-1", privateIp: "10.1.1.22", zone: "a" }];
    const files = { kubeconfig: "kind: Config", sshConfig: "", sshKnownHosts: "" };
    const outputs = { nodes, ...files, certificateExpiry: {}, proofs: {} };
    const answers: Record<string, unknown> = { ls: [], output: outputs, export: { deployment: {} } };
    return Promise.resolve({ exitCode: 0, stdout: JSON.stringify(answers[args[1] ?? ""] ?? "") });
  },
}));

const checkout = resolve(__dirname, "../../..");
const effective = `${root}/.lab/local/Pulumi.local.yaml`;

beforeAll(() => {
  mkdirSync(`${root}/.lab/local`, { recursive: true });
  for (const file of ["Pulumi.yaml", "Pulumi.local.yaml"]) copyFileSync(`${checkout}/${file}`, `${root}/${file}`);
  writeFileSync(effective, "encryptionsalt: v1:earlier\nconfig: {}\n");
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

it("a `make up` opens each Pulumi file once, and every part of it sees the run's values", async () => {
  const values = { kubernetesVersion: "v1.36.1", region: "eu-west-1", awsEndpoint: "http://127.0.0.1:5077" };
  const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
  vi.spyOn(process.stderr, "write").mockReturnValue(true);
  seen.files.length = 0;
  await up("local", values, ["--diff"]);

  const reads = seen.files.filter((call) => !/^(write|rename)/.test(call));
  expect(reads.sort()).toEqual(
    [`readFileSync ${effective}`, `readFileSync ${root}/Pulumi.local.yaml`, `readFileSync ${root}/Pulumi.yaml`].sort(),
  );

  expect(seen.cloud).toMatchObject([{ port: 5077 }]);
  expect(seen.clients).toEqual([{ region: values.region, awsEndpoint: values.awsEndpoint }]);
  const kubectls = seen.releases.filter((url) => url.endsWith("/kubectl"));
  expect(kubectls).toHaveLength(2); // for the machines, and for the user
  for (const url of kubectls) expect(url).toContain("/v1.36.1/");
  const written = parse(readFileSync(effective, "utf8")) as Record<string, Record<string, unknown>>;
  expect(written["encryptionsalt"]).toBe("v1:earlier");
  for (const [key, value] of Object.entries(values))
    expect(written["config"]?.[`kubernetes-from-scratch:${key}`]).toBe(value);
  expect(seen.commands.find(([command]) => command === "up")).toEqual(
    expect.arrayContaining(["--diff", "--stack", "local", "--config-file", effective]),
  );
  expect(seen.asked, "a machine that is booting is waited for").toBe(2);
  expect(log.mock.lastCall?.[0]).toMatch(/Done in/);
});
