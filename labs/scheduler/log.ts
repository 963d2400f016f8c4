/** Reads the scores out of kube-scheduler's log at verbosity 10. Pure. */

/** What the scheduler wrote about one pod. */
export interface Scores {
  /** Final score by node: the sum over all plugins, weighted. */
  readonly final: Readonly<Record<string, number>>;
  /** Score by plugin and node, weighted. */
  readonly byPlugin: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

const value = (line: string, key: string): string | undefined => new RegExp(`\\b${key}="?([^" ]+)"?`).exec(line)?.[1];

/**
 * @param log lines such as
 *   `… "Plugin scored node for pod" pod="ns/name" plugin="NodeResourcesFit" node="worker-0" score=88` and
 *   `… "Calculated node's final score for pod" pod="ns/name" node="worker-0" score=488`.
 * @param pod namespace/name.
 */
export function scoresOf(log: string, pod: string): Scores {
  const final: Record<string, number> = {};
  const byPlugin: Record<string, Record<string, number>> = {};
  for (const line of log.split("\n")) {
    if (!line.includes(`pod="${pod}"`)) continue;
    const node = value(line, "node");
    const score = Number(value(line, "score"));
    if (!node || Number.isNaN(score)) continue;
    if (line.includes("Plugin scored node for pod")) (byPlugin[value(line, "plugin") ?? "?"] ??= {})[node] = score;
    else if (line.includes("final score for pod")) final[node] = score;
  }
  return { final, byPlugin };
}

/** The sum of the plugins' scores for each node. */
export function sumsOf({ byPlugin }: Scores): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const scores of Object.values(byPlugin))
    for (const [node, score] of Object.entries(scores)) sums[node] = (sums[node] ?? 0) + score;
  return sums;
}

/** Nodes with the highest score. */
export function winners(final: Readonly<Record<string, number>>): string[] {
  const best = Math.max(...Object.values(final));
  return Object.keys(final)
    .filter((node) => final[node] === best)
    .sort();
}
