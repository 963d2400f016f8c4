/** Images: names, recipes, the files of a registry, and pulling from one. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { images } from "../../../cluster/versions";
import { labImages } from "../../../labs/images";
import { hostArchitecture } from "../../../lib/architecture";
import { unpackArchive } from "../../../supply/images/archive";
import { layersOf, parseReference, withTag, writeImage } from "../../../supply/images/oci";
import { pullImage, registryUrl } from "../../../supply/images/pull";
import { imageRecipe, recipes, tutorialImages } from "../../../supply/images/recipes";

const sha256 = (data: Buffer | string): string => `sha256:${createHash("sha256").update(data).digest("hex")}`;
let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "kfs-images-"));
});
afterEach(() => rmSync(root, { recursive: true }));

describe("an image's name", () => {
  it.each([
    ["registry.k8s.io/pause:3.10.1", { registry: "registry.k8s.io", repository: "pause", tag: "3.10.1" }],
    [
      "registry.k8s.io/coredns/coredns:v1.14.0",
      { registry: "registry.k8s.io", repository: "coredns/coredns", tag: "v1.14.0" },
    ],
    ["docker.io/library/busybox:1.37", { registry: "docker.io", repository: "library/busybox", tag: "1.37" }],
    ["busybox:1.37", { registry: "docker.io", repository: "library/busybox", tag: "1.37" }],
    ["localhost/app:dev", { registry: "localhost", repository: "app", tag: "dev" }],
    ["127.0.0.1:5000/a/b:c", { registry: "127.0.0.1:5000", repository: "a/b", tag: "c" }],
  ])("%s is parsed", (name, reference) => {
    expect(parseReference(name)).toEqual(reference);
  });

  it.each([
    ["nginx", "nginx:latest"],
    ["nginx:1.29", "nginx:1.29"],
    ["localhost:5000/app", "localhost:5000/app:latest"],
  ])("%s means %s", (typed, name) => expect(withTag(typed)).toBe(name));

  it.each(["registry.k8s.io/pause", "", "a b:c"])("%j is rejected", (name) => {
    expect(() => parseReference(name)).toThrow("is not an image name with a tag");
  });
});

describe("a recipe", () => {
  it("exists for every image that clusters and labs use", () => {
    for (const name of [...Object.values(images), ...labImages]) {
      const { repository, tag } = parseReference(name);
      expect(imageRecipe(repository, tag), name).toBeDefined();
    }
  });

  it("exists for the images of tutorials, and an alias is the same image", () => {
    for (const name of tutorialImages) {
      const { repository, tag } = parseReference(name);
      expect(imageRecipe(repository, tag), name).toBeDefined();
    }
    const { base, config } = imageRecipe("library/busybox", "1.28")!;
    expect(base).toBe("docker.io/library/busybox:1.37");
    expect(config).toEqual(imageRecipe("library/busybox", "1.37")?.config);
  });

  it("is found by repository, or by repository and tag", () => {
    for (const name of Object.keys(recipes)) {
      const [repository = "", tag = "any"] = name.split(":");
      expect(imageRecipe(repository, tag), name).toBeDefined();
    }
    expect(imageRecipe("library/busybox", "1.0")).toBeUndefined();
    expect(imageRecipe("library/unknown", "1.37")).toBeUndefined();
  });
});

describe("an archive", () => {
  interface Content {
    readonly manifest?: unknown;
    readonly architecture?: string;
    /** What layer.tar is, instead of a file. */
    readonly link?: string;
  }
  const saved = {
    Config: "config.json",
    RepoTags: ["example.test/app:1", "app:2"],
    Layers: ["a/layer.tar", "b/layer.tar"],
  };

  /** Writes one as `docker save` does: a plain layer and a compressed one. */
  function archive({ manifest = [saved], architecture = hostArchitecture, link }: Content = {}): string {
    const from = join(root, "from");
    for (const layer of ["a", "b"]) mkdirSync(join(from, layer), { recursive: true });
    writeFileSync(join(from, "manifest.json"), JSON.stringify(manifest));
    writeFileSync(join(from, "config.json"), JSON.stringify({ architecture, os: "linux" }));
    if (link === undefined) writeFileSync(join(from, "a/layer.tar"), "plain");
    else symlinkSync(link, join(from, "a/layer.tar"));
    writeFileSync(join(from, "b/layer.tar"), execFileSync("gzip", { input: "compressed" }));
    execFileSync("tar", ["-cf", join(root, "image.tar"), "-C", from, "."]);
    return join(root, "image.tar");
  }
  function unpack(file: string, name?: string): Promise<string[]> {
    for (const directory of ["scratch", "tree"]) mkdirSync(join(root, directory));
    return unpackArchive(file, join(root, "scratch"), join(root, "tree"), name);
  }

  it("becomes an image under each of its names, layers as they are", async () => {
    expect(await unpack(archive())).toEqual(["example.test/app:1", "app:2"]);
    for (const path of ["app", "library/app"]) {
      const at = join(root, "tree/v2", path);
      const text = readFileSync(join(at, "manifests", path === "app" ? "1" : "2"), "utf8");
      const { config, layers } = JSON.parse(text) as Record<"config", { digest: string }> & {
        layers: { digest: string; mediaType: string; size: number }[];
      };
      expect(layers.map(({ mediaType }) => mediaType.replace(/.*layer\.v1\./, ""))).toEqual(["tar", "tar+gzip"]);
      for (const { digest } of [config, ...layers])
        expect(sha256(readFileSync(join(at, "blobs", digest)))).toBe(digest);
      expect(readFileSync(join(at, "manifests", sha256(text)), "utf8")).toBe(text);
    }
  });

  it("gets another name, if it has one image", async () => {
    expect(await unpack(archive(), "mine:3")).toEqual(["mine:3"]);
    expect(readdirSync(join(root, "tree/v2/library/mine/manifests"))).toContain("3");
  });

  it.each<[string, Content, string | undefined, RegExp]>([
    ["has no manifest", { manifest: undefined, link: "x" }, undefined, /damaged|no manifest/],
    ["is for another architecture", { architecture: "s390x" }, undefined, /is for s390x/],
    ["has two images and is to have one name", { manifest: [saved, saved] }, "x:1", /has 2 images/],
    ["has no name", { manifest: [{ ...saved, RepoTags: null }] }, undefined, /without a name.*IMAGE=/],
    ["leads out of itself by a link", { link: "/etc/passwd" }, undefined, /is damaged: .*a\/layer\.tar/],
    ["leads out of itself by a path", { manifest: [{ ...saved, Config: "../../image.tar" }] }, undefined, /is damaged/],
  ])("is refused if it %s", async (_, content, name, problem) => {
    await expect(unpack(archive(content), name)).rejects.toThrow(problem);
  });

  it("is refused if it is not one of images", async () => {
    writeFileSync(join(root, "file"), "text");
    execFileSync("tar", ["-cf", join(root, "other.tar"), "-C", root, "file"]);
    await expect(unpack(join(root, "other.tar"))).rejects.toThrow(/no manifest\.json.*docker save/s);
  });
});

/** Writes an image with one file into the registry tree `tree`. */
async function write(tree: string): Promise<void> {
  const content = join(root, "content");
  mkdirSync(content, { recursive: true });
  writeFileSync(join(content, "hello"), "world\n", { mode: 0o755 });
  await writeImage(parseReference("registry.k8s.io/pause:1"), content, { Entrypoint: ["/hello"] }, tree);
}

describe("a written image", () => {
  it("has its base's layers below its own, in a tree that needs no other", async () => {
    await write(join(root, "base"));
    const base = await layersOf(parseReference("registry.k8s.io/pause:1"), join(root, "base"));
    const content = join(root, "more");
    mkdirSync(content);
    writeFileSync(join(content, "page"), "more\n");
    const derived = parseReference("example.test/derived:2");
    await writeImage(derived, content, { Cmd: ["serve"] }, join(root, "tree"), base);
    rmSync(join(root, "base"), { recursive: true });
    const layers = await layersOf(derived, join(root, "tree"));
    expect(layers).toHaveLength(2);
    expect(layers[0]).toMatchObject({ digest: base[0]?.digest, diffId: base[0]?.diffId });
    const files = layers.map(({ file }) => execFileSync("tar", ["-tf", file], { encoding: "utf8" }));
    expect(files[0]).toContain("hello");
    expect(files[1]).toContain("page");
    for (const { file, digest, diffId } of layers)
      expect([sha256(readFileSync(file)), diffId]).toEqual([digest, digest]);
  });

  it("is stored at the paths of a registry, with each blob under its digest", async () => {
    await write(root);
    const directory = join(root, "v2/pause");
    for (const kind of ["blobs", "manifests"]) {
      for (const digest of readdirSync(join(directory, kind)).filter((name) => name.startsWith("sha256:"))) {
        expect(sha256(readFileSync(join(directory, kind, digest)))).toBe(digest);
      }
    }
    const text = readFileSync(join(directory, "manifests/1"), "utf8");
    const manifest = JSON.parse(text) as { config: { digest: string }; layers: { digest: string; size: number }[] };
    expect(readdirSync(join(directory, "manifests")).sort()).toEqual(["1", sha256(text)]);
    const layer = manifest.layers[0];
    expect(readFileSync(join(directory, "blobs", layer?.digest ?? "")).length).toBe(layer?.size);
    const config = JSON.parse(readFileSync(join(directory, "blobs", manifest.config.digest), "utf8")) as {
      rootfs: { diff_ids: string[] };
    };
    expect(config.rootfs.diff_ids).toEqual([layer?.digest]); // uncompressed: the layer has the digest of its content
  });

  it("is identical, byte for byte, if written again", async () => {
    await write(join(root, "a"));
    await write(join(root, "b"));
    const manifest = (tree: string): string => readFileSync(join(root, tree, "v2/pause/manifests/1"), "utf8");
    expect(manifest("a")).toBe(manifest("b"));
  });
});

describe("pulling from a registry", () => {
  let server: Server;
  let port: number;
  /** What the registry holds, by path. The tag refers to an index, which refers to the image for this machine. */
  let served: Map<string, Buffer>;

  beforeEach(async () => {
    await write(join(root, "source"));
    served = new Map();
    for (const kind of ["blobs", "manifests"]) {
      for (const name of readdirSync(join(root, "source/v2/pause", kind))) {
        served.set(`/v2/pause/${kind}/${name}`, readFileSync(join(root, "source/v2/pause", kind, name)));
      }
    }
    const image = served.get("/v2/pause/manifests/1") ?? Buffer.alloc(0);
    const entry = (name: string, digest: string) => ({ digest, platform: { os: "linux", architecture: name } });
    const index = { manifests: [entry("s390x", sha256("")), entry(hostArchitecture, sha256(image))] };
    served.set("/v2/pause/manifests/1", Buffer.from(JSON.stringify(index)));
    server = createServer((request, response) => {
      const { pathname } = new URL(request.url ?? "", "http://registry");
      if (pathname === "/token") return response.end(JSON.stringify({ token: "secret" }));
      if (request.headers.authorization !== "Bearer secret") {
        const challenge = `Bearer realm="http://127.0.0.1:${port}/token",service="here",scope="repository:pause:pull"`;
        return response.writeHead(401, { "www-authenticate": challenge }).end();
      }
      const body = served.get(pathname);
      return body ? response.end(body) : response.writeHead(404).end();
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    port = (server.address() as AddressInfo).port;
  });
  afterEach(() => server.close());

  const pull = (): Promise<void> => pullImage(parseReference(`127.0.0.1:${port}/pause:1`), join(root, "target"));

  it("gets a token, follows the index, and writes the image", async () => {
    await pull();
    const written = (tree: string): string => readFileSync(join(root, tree, "v2/pause/manifests/1"), "utf8");
    expect(written("target")).toBe(written("source"));
    expect(readdirSync(join(root, "target/v2/pause/blobs")).length).toBe(2);
  });

  it("rejects a blob that does not match its digest", async () => {
    const blob = [...served.keys()].find((path) => path.includes("/blobs/")) ?? "";
    served.set(blob, Buffer.from("something else"));
    await expect(pull()).rejects.toThrow(/requested sha256:.*, but the registry returned sha256:/);
  });

  it("reports the URL that is not found", async () => {
    served.clear();
    await expect(pull()).rejects.toThrow(/\/v2\/pause\/manifests\/1: HTTP 404/);
  });

  it("uses Docker Hub's API host for docker.io", () => {
    expect(registryUrl(parseReference("busybox:1.37"))).toBe("https://registry-1.docker.io/v2/");
  });
});
