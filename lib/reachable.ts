/** Which hosts this machine can download from. */

/** Results so far, by origin. */
const tried = new Map<string, Promise<boolean>>();

/** How long a host may take to respond before it counts as unreachable, in milliseconds. */
const PATIENCE = 4000;

/** Statuses of a proxy that blocks a host: forbidden, authentication required, unavailable for legal reasons. */
const REFUSALS: readonly number[] = [403, 407, 451];

/** Whether the host of a URL responds and is not blocked by a proxy. Each host is tried once per run. */
export function reachable(url: string): Promise<boolean> {
  const { origin } = new URL(url);
  const known = tried.get(origin);
  if (known) return known;
  const result = fetch(url, { method: "HEAD", redirect: "manual", signal: AbortSignal.timeout(PATIENCE) }).then(
    ({ status }) => status < 500 && !REFUSALS.includes(status),
    () => false,
  );
  tried.set(origin, result);
  return result;
}
