const asked = new Map<string, Promise<boolean>>();

/** How long a host may take to answer before it counts as out of reach, in milliseconds. */
const PATIENCE = 4000;

/** What a proxy on the way answers for a host that it does not let through: forbidden, log in first, legal reasons. */
const REFUSALS: readonly number[] = [403, 407, 451];

/** Whether the host of a URL answers and lets this machine in; found by trying, once a run. */
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
