import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Cluster } from "../framework/cluster";
import type { LabResult } from "../framework/lab";
export async function writeReport(dir: string, _c: Cluster, results: readonly LabResult[], _s: Date): Promise<string> {
  await mkdir(dir, { recursive: true });
  const f = join(dir, "labs.json");
  await writeFile(f, JSON.stringify(results, null, 2));
  return f;
}
