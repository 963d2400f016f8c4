/** Runs labs one after another: a clean bench, the experiment, and the restore, whatever happens. */
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { Bench } from "./bench";
import { type Cluster, missing } from "./cluster";
import { judge } from "./expectation";
import { Journal } from "./journal";
import type { Lab } from "./lab";
import type { Progress } from "./progress";
import type { LabResult, Verdict } from "./result";
import { leftovers, nodesAsTheyAre, sweep, undoAll } from "./sweep";
import { Timeline } from "./timeline";
import { brief, until } from "./wait";

/** The user asked to stop. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
  constructor() {
    super("interrupted");
  }
}

const defaultLimit = 240;

/**
 * Runs labs in order. After an interruption the current lab is restored and no other starts.
 * @param interrupted is aborted by Ctrl-C or SIGTERM.
 */
export async function runLabs(
  labs: readonly Lab[],
  cluster: Cluster,
  progress: Progress,
  interrupted: AbortSignal,
): Promise<LabResult[]> {
  const results: LabResult[] = [];
  for (const [i, lab] of labs.entries()) {
    if (interrupted.aborted) break;
    progress.lab(lab, i + 1, labs.length);
    const result = await runLab(lab, cluster, progress, interrupted);
    progress.verdict(result);
    results.push(result);
  }
  return results;
}

/** Runs one lab. Never throws: whatever goes wrong becomes the verdict. */
export async function runLab(
  lab: Lab,
  cluster: Cluster,
  progress: Progress,
  interrupted: AbortSignal,
): Promise<LabResult> {
  const startedAt = new Date().toISOString();
  const timeline = new Timeline();
  const journal = new Journal(join(cluster.dir, "labs-journal.json"));
  const limit = new AbortController();
  const ended = new AbortController();
  const signal = AbortSignal.any([interrupted, limit.signal, ended.signal]);
  const bench = new Bench(lab.name, cluster, timeline, journal, progress, signal);
  const faults: string[] = [];

  const result = (verdict: Verdict, reason?: string): LabResult => ({
    name: lab.name,
    title: lab.title,
    part: lab.part,
    hypothesis: lab.hypothesis,
    verdict,
    ...(reason ? { reason } : {}),
    startedAt,
    seconds: timeline.now(),
    claims: bench.claims,
    steps: timeline.steps,
    changes: timeline.changes,
    evidence: bench.evidence,
  });

  const seconds = lab.limit ?? defaultLimit;
  const timer = setTimeout(() => limit.abort(new Error(`the lab did not finish within ${seconds} s`)), seconds * 1000);
  let before: Record<string, unknown> | undefined;
  try {
    const why = await missing(lab.needs ?? [], cluster);
    if (why) return result("skipped", why);
    await clear(lab, cluster, journal, progress);
    before = await nodesAsTheyAre(cluster.api);
    await bench.makeNamespace();
    await lab.experiment(bench);
  } catch (error) {
    faults.push(explain(error));
  } finally {
    clearTimeout(timer);
    ended.abort(new Error("the lab has ended"));
  }
  try {
    await progress.step("restore", "everything as it was", () =>
      timeline.step("restore", "everything as it was", () => restore(lab, cluster, journal, progress, before, bench)),
    );
  } catch (error) {
    faults.push(`could not be restored: ${explain(error)}`);
  }
  const broken = bench.claims.filter((claim) => !claim.holds);
  if (broken.length)
    faults.push(
      `${broken.length} of ${bench.claims.length} claims did not hold: ${broken.map((c) => c.text).join("; ")}`,
    );
  return faults.length ? result("failed", faults.join(" · ")) : result("passed");
}

/** Removes what an interrupted run left behind. */
async function clear(lab: Lab, cluster: Cluster, journal: Journal, progress: Progress): Promise<void> {
  await undoAll(cluster, journal, (text) => progress.note(`left by an interrupted run, ${text}`));
  const left = await leftovers(cluster.api, lab.name);
  if (left.length) progress.note(`left by an interrupted run, removing: ${left.join(", ")}`);
  await sweep(cluster.api, lab.name);
}

async function restore(
  lab: Lab,
  cluster: Cluster,
  journal: Journal,
  progress: Progress,
  before: Record<string, unknown> | undefined,
  bench: Bench,
): Promise<void> {
  // Whatever cannot be undone stays in the journal for the next run; the rest is cleaned up anyway.
  const notUndone = await undoAll(cluster, journal, (text) => progress.note(text)).catch((error: unknown) => error);
  await until(
    "the API server to respond",
    () => sweep(cluster.api, lab.name),
    () => true,
    { within: 120, every: 1000 },
  );
  if (notUndone) throw notUndone as Error;
  if (!before) return;
  const same = (after: Record<string, unknown>): boolean => isDeepStrictEqual(after, before);
  const after = await until("the nodes to be as before", () => nodesAsTheyAre(cluster.api), same, {
    within: 60,
    every: 500,
  }).catch(() => nodesAsTheyAre(cluster.api));
  const left = { objects: await leftovers(cluster.api, lab.name), nodesChanged: changed(before, after) };
  const claim = judge("nothing is left behind", left, { objects: [], nodesChanged: [] });
  bench.claims.push(claim);
  if (!claim.holds) progress.claim(claim);
}

/** The differences, by path: "worker-0.labels.disk: none -> ssd". Pure. */
export function changed(before: unknown, after: unknown, path = ""): string[] {
  if (isDeepStrictEqual(before, after)) return [];
  if (!isRecord(before) || !isRecord(after))
    return [`${path}: ${brief(before ?? "none")} -> ${brief(after ?? "none")}`];
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return keys.flatMap((key) => changed(before[key], after[key], path ? `${path}.${key}` : key));
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function explain(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
