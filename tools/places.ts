/** Where things are in a checkout: the paths that the tools share. */
import { join, resolve } from "node:path";

/** Root of the checkout. */
export const root = resolve(__dirname, "..");
/** Everything that runs leave behind in the checkout. `make clean` removes it. */
export const labDir = join(root, ".lab");
/** Folder of one stack: kubeconfig, SSH configuration, keys, effective configuration, report. */
export const stackDir = (stack: string): string => join(labDir, stack);
/** Locked by the command that works on the stack. */
export const stackLock = (stack: string): string => join(stackDir(stack), "lock");
/** Pulumi's file backend for the stacks of the local cloud. */
export const stateDir = join(labDir, "state");
/** State of the local clouds, one folder per cloud. */
export const cloudsDir = join(labDir, "cloud");
/** Passphrase for those stacks' secrets: random, created on first use, mode 0600. */
export const passphraseFile = join(labDir, "passphrase");
/** Name of the Pulumi project, which is also the namespace of its configuration. */
export const project = "kubernetes-from-scratch";
