const asked = new Map<string, Promise<boolean>>();

/** How long a host may take to answer before it counts as out of reach, in milliseconds. */
const PATIENCE = 4000;

/** Whether the host of a URL answers, whatever it says; found by trying, once a run. */
export function reachable(url: string): Promise<boolean> {
  const { origin } = new URL(url);
  const known = asked.get(origin);
  if (known) return known;
  const answer = fetch(url, { method: "HEAD", redirect: "manual", signal: AbortSignal.timeout(PATIENCE) }).then(
    () => true,
    () => false,
  );
  asked.set(origin, answer);
  return answer;
}
