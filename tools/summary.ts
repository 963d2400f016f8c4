/** What `make up` prints about its own work: the proofs of the steps that it ran, and what to type next. */
import { join, relative } from "node:path";
import { stackFiles, type StackOutputs } from "./outputs";
import type { Deployment } from "./pulumi";
import type { Stack } from "./stack";

/** The proofs of the steps that have run since a moment. A proof of an earlier run says nothing about the present. Pure. */
export function proofsSince(start: Date, { resources = [] }: Deployment, proofs: StackOutputs["proofs"]): string[] {
  const ran = resources
    .filter(({ type, modified }) => type === "command:remote:Command" && new Date(modified ?? 0) >= start)
    .map(({ urn }) => urn.split("::").pop() ?? "");
  return Object.entries(proofs).flatMap(([step, proof]) => (ran.includes(step) ? [`${step}: ${proof}`] : []));
}

export function printProofs(proofs: readonly string[]): void {
  if (proofs.length)
    console.log(["\nProofs of the steps that ran:", ...proofs.map((proof) => `  ✓ ${proof}`)].join("\n"));
}

/** Path of one of the stack's files, relative to the current folder. */
const here = (stack: Stack, file: string): string => relative(process.cwd(), join(stack.dir, file));

export function printNextCommands(stack: Stack): void {
  const variable = stack.name === "local" ? "" : ` STACK=${stack.name}`;
  console.log(`\nNext:
  eval "$(make -s env${variable})"        kubectl, pulumi and KUBECONFIG in this shell
  kubectl get pods -A -o wide
  ssh -F ${here(stack, stackFiles.sshConfig)} controller-0
  make status${variable}                   ask every part how it is
  make labs${variable}                     run the experiments
  make down${variable}                     destroy the cluster`);
}
