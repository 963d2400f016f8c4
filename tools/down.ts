/**
 * `make down`: destroys everything that belongs to a stack. It must work whatever has become of the stack's configuration,
 * of the caches and of the network, so it looks at none of them.
 */
import { cloudDown, cloudOf } from "../cloud";
import type { FileLock } from "../lib/file-lock";
import { forgetKubeconfig } from "./kubeconfig";
import { cloudRef, cloudRuns, wakeCloud } from "./local-cloud";
import { removeStackFiles } from "./outputs";
import { checkCredentials } from "./preflight";
import { Pulumi } from "./pulumi";
import { recover, takeOver } from "./recover";
import { openBuiltStack, openStack, type Stack } from "./stack";
import { ensureToolchain } from "./toolchain";
import { stacksAtWork } from "./turn";

/** The stack to destroy, as it was built. */
export const openToDestroy = (name: string): Stack => openBuiltStack(name, () => cloudOf(cloudRef()).port);

/** @param turn ends early if other stacks go on with the cloud. */
export async function destroyStack(stack: Stack, turn: FileLock): Promise<void> {
  const pulumi = new Pulumi(stack, await ensureToolchain(stack));
  await takeOver(pulumi);
  const exists = await pulumi.exists();
  if (!exists) console.log(`Stack ${stack.name} does not exist, so there is nothing to destroy.`);
  const left = exists ? await destroyResources(pulumi) : undefined;
  await forgetKubeconfig(stack);
  await removeStackFiles(stack.dir);
  if (!stack.isLocal) return;
  const isDown = await cloudDown(cloudRef(), () => leavesCloudTo(pulumi, turn, left));
  if (isDown && left) await pulumi.forget();
}

/**
 * Destroys the resources of a stack. With a local cloud that nobody else uses, that is not necessary, as the whole cloud is
 * removed. So it is not started for that, and if something goes wrong, that is no obstacle.
 * @returns why resources are left, if there are any, which only the removal of the cloud can excuse.
 */
async function destroyResources(pulumi: Pulumi): Promise<Error | undefined> {
  const { stack } = pulumi;
  if (!stack.isLocal) {
    await checkCredentials(stack);
    await destroyEach(pulumi);
    return undefined;
  }
  const isShared = (await othersOnCloud(pulumi)).length > 0;
  if (!isShared && !(await cloudRuns())) return new Error("the local cloud is not running");
  try {
    await wakeCloud(stack);
    await takeOver(pulumi);
    await destroyEach(pulumi);
    return undefined;
  } catch (error) {
    await takeOver(pulumi); // it may have failed because another command works on the stack
    if (isShared) throw error;
    console.error(`${(error as Error).message}\nThe local cloud is removed with everything in it instead.`);
    return error as Error;
  }
}

async function destroyEach(pulumi: Pulumi): Promise<void> {
  await pulumi.prepare();
  await recover(pulumi, { start: false });
  await pulumi.destroy();
}

/**
 * Whether other stacks are on the cloud, or are about to be. Asked while the cloud cannot be started, so a command that is
 * not counted here starts it again. The turn ends with the answer, so that the last of two commands does not count the first.
 * @param left what then remains of the own stack, which is an error.
 */
async function leavesCloudTo(pulumi: Pulumi, turn: FileLock, left: Error | undefined): Promise<boolean> {
  const isUsed = (await othersOnCloud(pulumi)).length > 0;
  if (isUsed && left) throw left;
  if (isUsed) await turn.release();
  return isUsed;
}

async function othersOnCloud(pulumi: Pulumi): Promise<string[]> {
  const { name: own, port } = pulumi.stack;
  const present = (await pulumi.siblings()).filter(({ resources }) => resources > 0).map(({ name }) => name);
  const others = [...new Set([...present, ...stacksAtWork()])].filter((name) => name !== own);
  return others.filter((name) => mayUsePort(name, port));
}

/** A stack whose file cannot be read may use any cloud. */
function mayUsePort(stack: string, port: number | undefined): boolean {
  try {
    return openStack(stack).port === port;
  } catch {
    return true;
  }
}
