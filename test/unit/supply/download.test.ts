/** The mirror on a machine that can reach the origins, which a local server stands in for. */
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Release } from "../../../cluster/versions";
import { ensureReleases, mirrorPath } from "../../../supply/releases";

const sum = (text: string): string => createHash("sha256").update(text).digest("hex");
const earlier = process.env["XDG_CACHE_HOME"];
let home: string;
let origin: Server;
let files: Record<string, string>;
let requests: string[];
let cut: boolean;
let kubelet: Release;

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), "kfs-download-"));
  process.env["XDG_CACHE_HOME"] = home;
  requests = [];
  cut = false;
  origin = createServer((request, response) => {
    const { method = "", url = "" } = request;
    requests.push(`${method} ${url}`);
    const text = files[url];
    if (text === undefined) return response.writeHead(404).end();
    response.writeHead(200, { "content-length": text.length });
    if (cut && url.endsWith("kubelet") && method === "GET")
      return response.write(text.slice(0, 3), () => response.destroy());
    return response.end(method === "HEAD" ? undefined : text);
  });
  await new Promise<void>((done) => origin.listen(0, "127.0.0.1", done));
  const url = `http://127.0.0.1:${(origin.address() as AddressInfo).port}/release/v1.36.3/bin/linux/amd64/kubelet`;
  kubelet = { name: "kubelet", url, checksum: `${url}.sha256` };
  const { pathname } = new URL(url);
  files = { [pathname]: "the kubelet", [`${pathname}.sha256`]: sum("the kubelet") };
});

afterEach(() => {
  origin.close();
  if (earlier === undefined) delete process.env["XDG_CACHE_HOME"];
  else process.env["XDG_CACHE_HOME"] = earlier;
  rmSync(home, { recursive: true });
});

const ensure = (): Promise<string> => ensureReleases([kubelet], "amd64");

describe("a release whose origin can be reached", () => {
  it("is downloaded with its checksum, to its host and path, and is executable", async () => {
    const mirror = await ensure();
    const file = join(mirror, mirrorPath(kubelet.url));
    expect(readFileSync(file, "utf8")).toBe("the kubelet");
    expect(statSync(file).mode & 0o777).toBe(0o755);
    expect(readFileSync(join(mirror, mirrorPath(kubelet.checksum)), "utf8")).toBe(sum("the kubelet"));
  });

  it("is downloaded only once", async () => {
    await ensure();
    const before = requests.length;
    await ensure();
    expect(requests.length).toBe(before);
  });

  it("is restored if it has been removed from the mirror", async () => {
    const file = join(await ensure(), mirrorPath(kubelet.url));
    rmSync(file);
    await ensure();
    expect(readFileSync(file, "utf8")).toBe("the kubelet");
  });
});

describe("a download that fails leaves nothing behind:", () => {
  const expectNothing = (): void => {
    expect(existsSync(join(home, "kubernetes-from-scratch/releases"))).toBe(false);
    const entries = readdirSync(join(home, "kubernetes-from-scratch")).filter((name) => name.startsWith("release-"));
    expect(entries.filter((name) => !name.endsWith(".new"))).toEqual([]);
  };

  it("content that does not match the checksum", async () => {
    files[new URL(kubelet.url).pathname] = "something else";
    await expect(ensure()).rejects.toThrow(
      `has the SHA-256 ${sum("something else")}; its origin publishes ${sum("the kubelet")}`,
    );
    expectNothing();
  });

  it("a checksum for another file", async () => {
    files[new URL(kubelet.checksum).pathname] = `${sum("the kubelet")}  kube-proxy\n`;
    await expect(ensure()).rejects.toThrow("its origin publishes none");
    expectNothing();
  });

  it("a version that was never released", async () => {
    files = {};
    await expect(ensure()).rejects.toThrow("kubelet.sha256 cannot be downloaded: HTTP 404");
    expectNothing();
  });

  it("an interrupted connection; the next run succeeds", async () => {
    cut = true;
    await expect(ensure()).rejects.toThrow();
    expectNothing();
    cut = false;
    expect(existsSync(join(await ensure(), mirrorPath(kubelet.url)))).toBe(true);
  });
});
