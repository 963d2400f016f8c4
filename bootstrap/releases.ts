/** Release files, in the form that the scripts read. */
import type { Machine } from "../cluster/shape";
import type { ClusterSpec } from "../cluster/spec";
import { type ReleaseName, releases } from "../cluster/versions";

/** Lines of "name url checksum". */
export function releaseLines(spec: ClusterSpec, { architecture }: Machine, names: readonly ReleaseName[]): string {
  const all = releases(spec, architecture);
  return names
    .map((name) => all[name])
    .map(({ name, url, checksum }) => `${name} ${url} ${checksum}`)
    .join("\n");
}
