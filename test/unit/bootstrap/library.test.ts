/** The shell library, run by a real bash against a real HTTP server. */
import { spawn, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

const scripts = join(__dirname, "../../../bootstrap/scripts/lib");
const sha256 = (content: string): string => createHash("sha256").update(content).digest("hex");

/** The origin of the release files: its content can be changed, and every request is recorded. */
const served = new Map<string, string | (() => string)>();
let requests: string[] = [];
let server: Server;
let mirror: string;
let folder: string;

beforeAll(async () => {
  server = createServer((request, response) => {
    requests.push(request.url ?? "");
    const content = served.get(request.url ?? "");
    response.statusCode = content === undefined ? 404 : 200;
    response.end(typeof content === "function" ? content() : content);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  mirror = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => server.close());

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "library-"));
  requests = [];
  served.clear();
  cpSync(scripts, join(folder, "lib"), { recursive: true });
  const releases = join(folder, "lib", "releases.sh");
  writeFileSync(releases, readFileSync(releases, "utf8").replace("--retry 5 --retry-delay 1", "--retry 0"));
  mkdirSync(join(folder, "run/kubernetes-from-scratch"), { recursive: true });
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Runs commands as a step would, with the library loaded. */
function run(commands: string): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve) => {
    const child: ChildProcess = spawn("bash", [
      "-c",
      `set -euo pipefail\nSTEP=test MIRROR=${mirror} ROOT=${folder}\n. ${folder}/lib/library.sh\n${commands}`,
    ]);
    let output = "";
    child.stdout?.on("data", (data: Buffer) => (output += data.toString()));
    child.stderr?.on("data", (data: Buffer) => (output += data.toString()));
    child.on("close", (code) => resolve({ code, output }));
  });
}

describe("fetch", () => {
  const url = "https://dl.example/release/v1/tool";
  const stored = () => join(folder, "var/lib/kubernetes-from-scratch/releases/dl.example/release/v1/tool");
  const path = "/dl.example/release/v1/tool";

  it("downloads a file once, and makes it executable", async () => {
    served.set(path, "tool").set(`${path}.sha256`, sha256("tool"));
    expect(await run(`fetch ${url} ${url}.sha256; echo "$REPLY"`)).toEqual({ code: 0, output: `${stored()}\n` });
    expect(statSync(stored()).mode & 0o777).toBe(0o755);
    await run(`fetch ${url} ${url}.sha256`);
    expect(requests).toEqual([`${path}.sha256`, path]);
  });

  it.each([
    ["a list of sums", () => `${sha256("other")}  other\n${sha256("tool")}  tool\n`],
    ["binary-mode sums", () => `${sha256("tool")} *tool\n`],
    ["a sum alone", () => `${sha256("tool")}\n`],
  ])("reads %s", async (_, sums) => {
    served.set(path, "tool").set("/dl.example/SUMS", sums());
    expect((await run(`fetch ${url} https://dl.example/SUMS`)).code).toBe(0);
  });

  it("downloads a file again that arrived damaged", async () => {
    let times = 0;
    served.set(path, () => (++times === 1 ? "to" : "tool")).set(`${path}.sha256`, sha256("tool"));
    const { code, output } = await run(`fetch ${url} ${url}.sha256`);
    expect(code).toBe(0);
    expect(output).toContain("does not have the published SHA-256");
    expect(readFileSync(stored(), "utf8")).toBe("tool");
  });

  it("rejects a file that never matches the published sum, and says so", async () => {
    served.set(path, "something else").set(`${path}.sha256`, sha256("tool"));
    const { code, output } = await run(`fetch ${url} ${url}.sha256`);
    expect(code).toBe(1);
    expect(output).toContain(
      `error: ${url}: downloaded three times, never with the published SHA-256 ${sha256("tool")}`,
    );
    expect(existsSync(stored())).toBe(false);
  });

  it("reports what it could not download", async () => {
    served.set(`${path}.sha256`, sha256("tool"));
    const { code, output } = await run(`fetch ${url} ${url}.sha256`);
    expect(code).toBe(1);
    expect(output).toContain(`cannot download ${mirror}${path}`);
  });

  it("uses the file that the image carries, after the same check", async () => {
    const carried = join(folder, "opt/releases", path);
    mkdirSync(dirname(carried), { recursive: true });
    writeFileSync(carried, "tool", { mode: 0o755 });
    writeFileSync(`${carried}.sha256`, sha256("tool"));
    expect(await run(`fetch ${url} ${url}.sha256; echo "$REPLY"`)).toEqual({
      code: 0,
      output: `${carried.replace("//", "/")}\n`,
    });
    expect(requests).toEqual([]);

    writeFileSync(carried, "damaged");
    served.set(path, "tool");
    expect(await run(`fetch ${url} ${url}.sha256; echo "$REPLY"`)).toEqual({ code: 0, output: `${stored()}\n` });
  });

  it("notices that a file has changed since it was checked", async () => {
    served.set(path, "tool").set(`${path}.sha256`, sha256("tool"));
    await run(`fetch ${url} ${url}.sha256`);
    writeFileSync(stored(), "evil");
    expect((await run(`fetch ${url} ${url}.sha256`)).code).toBe(0);
    expect(readFileSync(stored(), "utf8")).toBe("tool");
  });

  it("waits for another process that is downloading the same file", async () => {
    served.set(path, "tool").set(`${path}.sha256`, sha256("tool"));
    const both = await Promise.all([run(`fetch ${url} ${url}.sha256`), run(`fetch ${url} ${url}.sha256`)]);
    expect(both.map(({ code }) => code)).toEqual([0, 0]);
    expect(requests.filter((request) => request === path)).toHaveLength(1);
  });
});

describe("put", () => {
  const me = `$(id -un):$(id -gn)`;

  it("writes a file with its mode at once, and leaves an identical file alone", async () => {
    const target = join(folder, "etc/secret");
    expect((await run(`put ${target} 0600 ${me} <<<one`)).output).toContain(`wrote ${target}`);
    expect(statSync(target).mode & 0o777).toBe(0o600);
    const before = statSync(target).ino;
    expect((await run(`put ${target} 0600 ${me} <<<one`)).output).toBe("");
    expect(statSync(target).ino).toBe(before);
    expect((await run(`put ${target} 0600 ${me} <<<two`)).output).toContain("wrote");
    expect(readFileSync(target, "utf8")).toBe("two\n");
  });

  it("restores a mode that somebody changed", async () => {
    const target = join(folder, "etc/secret");
    await run(`put ${target} 0600 ${me} <<<one; chmod 0644 ${target}; put ${target} 0600 ${me} <<<one`);
    expect(statSync(target).mode & 0o777).toBe(0o600);
  });
});

describe("wait_for", () => {
  it("ends as soon as the command succeeds", async () => {
    const { code, output } = await run(`n=0; third() { ((++n == 3)); }; wait_for 5 "the third time" third`);
    expect(code).toBe(0);
    expect(output).toMatch(/the third time/);
  });

  it("fails at its time limit and reports what it last tried", async () => {
    const { code, output } = await run("wait_for 1 'the impossible happens' false");
    expect(code).toBe(1);
    expect(output).toMatch(/error: timed out after 1 s waiting until the impossible happens \(last tried: false\)/);
  });
});

it("distinguishes a unit's inputs by content", async () => {
  const file = join(folder, "input");
  const { output } = await run(
    `echo a >${file}; fingerprint ${file}; echo b >${file}; fingerprint ${file}; echo a >${file}; fingerprint ${file} ${file}.absent`,
  );
  const [first, second, third] = output.trim().split("\n");
  expect(first).not.toBe(second);
  expect(third).toBe(first);
});
