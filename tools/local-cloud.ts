/** The local cloud of a run. */
import { lookup } from "node:dns/promises";
import { type Service, cloudStatus, cloudUp, refuseCopyOf } from "../cloud";
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
  const alsoReachable = { [stack.name]: await mirrorsOf(stack) };
  await cloudUp({ ...cloudRef(), port: stack.port, releasesDir, registryDir, preload, alsoReachable });
}

/** The mirrors of a stack's configuration, which machines may reach wherever they are. */
async function mirrorsOf(stack: Stack): Promise<Service[]> {
  const { mirror, registryMirror } = stack.config();
  const urls = [mirror, registryMirror].flatMap((url) => (url === undefined ? [] : [new URL(url)]));
  const services = await Promise.all(
    urls.map(async ({ hostname, port, protocol }) => {
      const found = await lookup(hostname, { all: true, family: 4 }).catch(() => []); // machines will say so
      return found.map(({ address }) => ({ address, port: Number(port || (protocol === "https:" ? 443 : 80)) }));
    }),
  );
  return services.flat();
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
