/** Pulls an image of this machine's architecture from a registry, verified by its digests, into a registry's tree. */
import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { sha256Of } from "../../lib/cache";
import { type Reference, repositoryDir } from "./oci";

/** Manifests of images and indexes, as the two specifications name them. */
const ACCEPT = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.docker.distribution.manifest.v2+json",
].join(", ");

interface Descriptor {
  readonly digest: string;
  readonly platform?: { readonly architecture: string; readonly os: string };
}

/** An image's manifest, or an index of manifests by platform. */
interface Manifest {
  readonly manifests?: readonly Descriptor[];
  readonly config?: Descriptor;
  readonly layers?: readonly Descriptor[];
}

/** Start of a registry's API; Docker Hub's is not at the name that its images carry. */
export function registryUrl({ registry }: Reference): string {
  const host = registry === "docker.io" ? "registry-1.docker.io" : registry;
  return `${/^(localhost|127\.0\.0\.1)(:|$)/.test(host) ? "http" : "https"}://${host}/v2/`;
}

/** Pulls an image. @param root the registry's tree that it is written into. */
export async function pullImage(reference: Reference, root: string): Promise<void> {
  const pull = new Pull(reference);
  const directory = repositoryDir(root, reference);
  await mkdir(join(directory, "blobs"), { recursive: true });
  await mkdir(join(directory, "manifests"), { recursive: true });
  const { manifest, text } = await pull.manifest(reference.tag);
  const blobs = [manifest.config, ...(manifest.layers ?? [])].filter((blob) => blob !== undefined);
  for (const { digest } of blobs) await pull.blob(digest, join(directory, "blobs", digest));
  for (const name of [sha256(text), reference.tag]) await writeFile(join(directory, "manifests", name), text);
}

const sha256 = (text: string): string => `sha256:${createHash("sha256").update(text).digest("hex")}`;

/** One image's requests to its registry, with the token that the registry asks for. */
class Pull {
  private token: string | undefined;

  constructor(private readonly reference: Reference) {}

  /** The image's manifest for this machine, by tag or digest; an index is followed. */
  async manifest(wanted: string): Promise<{ manifest: Manifest; text: string }> {
    const text = await (await this.get(`manifests/${wanted}`)).text();
    if (wanted.startsWith("sha256:") && sha256(text) !== wanted)
      throw new Error(`${this.name}: the manifest is not ${wanted}`);
    const manifest = JSON.parse(text) as Manifest;
    if (!manifest.manifests) return { manifest, text };
    const architecture = process.arch === "arm64" ? "arm64" : "amd64";
    const ours = manifest.manifests.find(
      ({ platform }) => platform?.os === "linux" && platform.architecture === architecture,
    );
    if (!ours) throw new Error(`${this.name} has no image for linux/${architecture}`);
    return this.manifest(ours.digest);
  }

  async blob(digest: string, file: string): Promise<void> {
    const { body } = await this.get(`blobs/${digest}`);
    if (!body) throw new Error(`${this.name}: the registry sent nothing for ${digest}`);
    await pipeline(Readable.fromWeb(body), createWriteStream(file));
    const got = `sha256:${await sha256Of(file)}`;
    if (got !== digest) throw new Error(`${this.name}: asked for ${digest}, the registry sent ${got}`);
  }

  private get name(): string {
    return `${this.reference.registry}/${this.reference.repository}:${this.reference.tag}`;
  }

  private async get(path: string, retried = false): Promise<Response> {
    const url = `${registryUrl(this.reference)}${this.reference.repository}/${path}`;
    const authorization = this.token ? { Authorization: `Bearer ${this.token}` } : {};
    const response = await fetch(url, { headers: { Accept: ACCEPT, ...authorization } });
    if (response.status === 401 && !retried) {
      this.token = await this.authorize(response.headers.get("www-authenticate") ?? "");
      return this.get(path, true);
    }
    if (!response.ok) throw new Error(`${url}: HTTP ${response.status}`);
    return response;
  }

  /** An anonymous token, from where the registry says. https://distribution.github.io/distribution/spec/auth/token/ */
  private async authorize(challenge: string): Promise<string> {
    const of = (key: string): string => new RegExp(`${key}="([^"]*)"`).exec(challenge)?.[1] ?? "";
    const scope = of("scope") || `repository:${this.reference.repository}:pull`;
    const url = `${of("realm")}?${new URLSearchParams({ service: of("service"), scope }).toString()}`;
    const response = await fetch(url);
    if (!response.ok) throw new Error(`${this.name}: no token from ${of("realm")}: HTTP ${response.status}`);
    const body = (await response.json()) as { token?: string; access_token?: string };
    return body.token ?? body.access_token ?? "";
  }
}
