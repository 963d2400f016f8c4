/** Which hosts this machine can download from. */

/** Results so far, by origin. */
const asked = new Map<string, Promise<boolean>>();

/** How long a host may take to answer before it counts as unreachable, in milliseconds. */
const PATIENCE = 4000;

/** Statuses of a proxy that blocks a host: forbidden, authentication required, unavailable for legal reasons. */
const REFUSALS: readonly number[] = [403, 407, 451];

/** Whether the host of a URL answers and is not blocked by a proxy. Tried once per host and run. */
export function reachable(url: string): Promise<boolean> {
  const { origin } = new URL(url);
  const known = asked.get(origin);
  if (known) return known;
  const answer = fetch(url, { method: "HEAD", redirect: "manual", signal: AbortSignal.timeout(PATIENCE) }).then(
    ({ status }) => status < 500 && !REFUSALS.includes(status),
    () => false,
  );
  asked.set(origin, answer);
  return answer;
}
