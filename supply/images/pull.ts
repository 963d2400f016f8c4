/** Pulls images for this machine's architecture from a registry and verifies their digests. */
import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { hostArchitecture } from "../../lib/architecture";
import { sha256Of } from "../../lib/cache";
import { type Reference, repositoryDir } from "./oci";

/** Media types of image manifests and indexes, in both specifications. */
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

/** An image's manifest, or an index of manifests per platform. */
interface Manifest {
  readonly manifests?: readonly Descriptor[];
  readonly config?: Descriptor;
  readonly layers?: readonly Descriptor[];
}

/** Base URL of a registry's API. Docker Hub's host differs from the one in its image names. */
export function registryUrl({ registry }: Reference): string {
  const host = registry === "docker.io" ? "registry-1.docker.io" : registry;
  return `${/^(localhost|127\.0\.0\.1)(:|$)/.test(host) ? "http" : "https"}://${host}/v2/`;
}

/** Pulls an image. @param root the registry tree to write it to. */
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

/** Requests for one image, with the token that its registry requires. */
class Pull {
  private token: string | undefined;

  constructor(private readonly reference: Reference) {}

  /** The image's manifest for this machine, by tag or digest. Follows an index. */
  async manifest(wanted: string): Promise<{ manifest: Manifest; text: string }> {
    const text = await (await this.get(`manifests/${wanted}`)).text();
    if (wanted.startsWith("sha256:") && sha256(text) !== wanted)
      throw new Error(`${this.name}: the registry returned a manifest that does not match ${wanted}`);
    const manifest = JSON.parse(text) as Manifest;
    if (!manifest.manifests) return { manifest, text };
    const ours = manifest.manifests.find(
      ({ platform }) => platform?.os === "linux" && platform.architecture === hostArchitecture,
    );
    if (!ours) throw new Error(`${this.name} has no image for linux/${hostArchitecture}`);
    return this.manifest(ours.digest);
  }

  async blob(digest: string, file: string): Promise<void> {
    const { body } = await this.get(`blobs/${digest}`);
    if (!body) throw new Error(`${this.name}: the registry returned no data for ${digest}`);
    await pipeline(Readable.fromWeb(body), createWriteStream(file));
    const got = `sha256:${await sha256Of(file)}`;
    if (got !== digest) throw new Error(`${this.name}: requested ${digest}, but the registry returned ${got}`);
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

  /** An anonymous token from the registry's token server. https://distribution.github.io/distribution/spec/auth/token */
  private async authorize(challenge: string): Promise<string> {
    const of = (key: string): string => new RegExp(`${key}="([^"]*)"`).exec(challenge)?.[1] ?? "";
    const scope = of("scope") || `repository:${this.reference.repository}:pull`;
    const url = `${of("realm")}?${new URLSearchParams({ service: of("service"), scope }).toString()}`;
    const response = await fetch(url);
    if (!response.ok) throw new Error(`${this.name}: cannot get a token from ${of("realm")}: HTTP ${response.status}`);
    const body = (await response.json()) as { token?: string; access_token?: string };
    return body.token ?? body.access_token ?? "";
  }
}
