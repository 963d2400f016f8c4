/** An instance as EC2 reports it, and what brings it up. Pure. */

export interface Instance {
  /** Such as running, stopped or terminated. */
  readonly state: string;
  /** Whether it fails its status checks. */
  readonly isImpaired: boolean;
  readonly publicIp: string | undefined;
}

/** Whether an instance in this state is terminated, or about to be. */
export const isGone = (state: string): boolean => ["terminated", "shutting-down"].includes(state);

/** What brings an instance up: an action, or time. Undefined if it is up, or gone for good. */
export function remedy(instance: Instance | undefined): "start" | "reboot" | "wait" | undefined {
  if (!instance || isGone(instance.state)) return undefined;
  if (instance.state === "stopped") return "start";
  if (instance.state !== "running") return "wait";
  return instance.isImpaired ? "reboot" : undefined;
}
