/** Downloads the official release of Pulumi. */
import { rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { sha256Of } from "../../lib/cache";
import { run } from "../../lib/run";
import { publishedSum } from "../releases/sums";
import { sdkVersion } from "./versions";

const version = sdkVersion("pulumi");

/** The release for this machine. https://www.pulumi.com/docs/install/versions/ */
export const archiveUrl = `https://get.pulumi.com/releases/sdk/pulumi-v${version}-linux-${process.arch}.tar.gz`;

const sumsUrl = `https://github.com/pulumi/pulumi/releases/download/v${version}/pulumi-${version}-checksums.txt`;

/** Downloads the release, verifies its published checksum, and unpacks it into a directory. */
export async function downloadPulumi(into: string): Promise<void> {
  const archive = join(into, basename(archiveUrl));
  await writeFile(archive, Buffer.from(await (await get(archiveUrl)).arrayBuffer()));
  const expected = publishedSum(await (await get(sumsUrl)).text(), basename(archiveUrl));
  const got = await sha256Of(archive);
  if (got !== expected) {
    throw new Error(`${archiveUrl} has the SHA-256 ${got}, but its origin publishes ${expected ?? "none"}`);
  }
  await run("tar", ["-xzf", archive, "--strip-components=1", "-C", into]);
  await rm(archive);
}

async function get(url: string): Promise<Response> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: HTTP ${response.status}`);
  return response;
}
