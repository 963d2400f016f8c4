/** Waits with a time limit, which report what they last saw. */
import { setTimeout as sleep } from "node:timers/promises";

/** A wait that timed out. */
export class WaitError extends Error {
  override readonly name = "WaitError";
  constructor(what: string, seconds: number, lastSeen: string) {
    super(`timed out after ${seconds} s waiting for ${what}; last seen: ${lastSeen}`);
  }
}

export interface WaitOptions<T> {
  /** Time limit in seconds. */
  readonly within: number;
  /** Pause between two attempts, in milliseconds. */
  readonly every?: number;
  readonly signal?: AbortSignal;
  /** Shows the last seen value in words. */
  readonly show?: (value: T) => string;
}

/** A value as one short line. */
export function brief(value: unknown, limit = 400): string {
  const text = (typeof value === "string" ? value : (JSON.stringify(value) ?? "nothing")).replace(/\s+/g, " ").trim();
  return text.length > limit ? `${text.slice(0, limit)} …` : text;
}

/**
 * Polls until the value is as wanted. An attempt that throws is reported as what was last seen and does not end the
 * wait, because the wait is often for something to respond again.
 * @throws WaitError after `within` seconds.
 */
export async function until<T>(
  what: string,
  look: () => Promise<T>,
  wanted: (value: T) => boolean,
  options: WaitOptions<T>,
): Promise<T> {
  const { within, every = 250, signal, show = brief } = options;
  const deadline = Date.now() + within * 1000;
  let seen = "nothing";
  for (;;) {
    signal?.throwIfAborted();
    try {
      const value = await look();
      if (wanted(value)) return value;
      seen = show(value);
    } catch (error) {
      signal?.throwIfAborted();
      seen = `error: ${(error as Error).message}`;
    }
    if (Date.now() + every > deadline) throw new WaitError(what, within, seen);
    await sleep(every, undefined, signal ? { signal } : {}).catch(() => signal?.throwIfAborted());
  }
}
