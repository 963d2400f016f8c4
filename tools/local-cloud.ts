/** The local cloud of a run. */
import { cloudStatus, cloudUp, refuseCopyOf } from "../cloud";
import { cloudsDir } from "./places";
import type { Stack } from "./stack";
import { ensureReleasesFor } from "./toolchain";

/** Name and place of the local cloud that a run uses. The tests use separate clouds. */
export const cloudRef = (): { name: string; stateRoot: string } => ({
  name: process.env["LAB_CLOUD"] ?? "lab",
  stateRoot: cloudsDir,
});

/**
 * The cluster that a copied checkout's state describes is the original's, and nothing may be done to it from the copy.
 * @throws UserError if this checkout is a copy, and the original has the cloud.
 */
export const refuseCopies = ({ isLocal }: Stack): void => {
  if (isLocal) refuseCopyOf(cloudRef());
};

/** Starts whatever part of the stack's local cloud is not running, with what machines are built from. */
export async function startCloud(stack: Stack): Promise<void> {
  const { releasesDir, registryDir } = await ensureReleasesFor(stack);
  const preload = process.env["PRELOAD"] === "1";
  await cloudUp({ ...cloudRef(), port: stack.port, releasesDir, registryDir, preload });
}

/** Starts it only to destroy something in it, for which nothing has to be downloaded or built. */
export async function wakeCloud(stack: Stack): Promise<void> {
  if (!(await cloudRuns())) await cloudUp({ ...cloudRef(), port: stack.port });
}

/** Whether the local cloud runs and responds. */
export async function cloudRuns(): Promise<boolean> {
  return cloudStatus(cloudRef()).then(
    ({ runs }) => runs,
    () => false,
  );
}
