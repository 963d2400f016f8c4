/** The summary of a stack that `make up` and `make status` print. */
import { existsSync } from "node:fs";
import { join, relative } from "node:path";
import { execa } from "execa";
import { formatTable } from "../lib/table";
import { type NodeOutput, stackFiles, type StackOutputs } from "./outputs";
import type { Stack } from "./stack";
import { ensureKubectl } from "./toolchain";

/** Prints the machines, the proofs, the nodes as the API server lists them now, and what to type next. */
export async function printSummary(stack: Stack, outputs: StackOutputs): Promise<void> {
  console.log(`\n${machineTable(outputs.nodes)}`);
  const proofs = Object.entries(outputs.proofs).map(([step, proof]) => `  ✓ ${step}: ${proof}`);
  if (proofs.length) console.log(["\nProofs of the last run of each step:", ...proofs].join("\n"));
  if (outputs.kubeconfig) await printNodes(stack, outputs.apiEndpoint);
  console.log(nextCommands(stack));
}

/** Path of one of the stack's files, relative to the current folder. */
const here = (stack: Stack, file: string): string => relative(process.cwd(), join(stack.dir, file));

const machineTable = (machines: readonly NodeOutput[]): string =>
  formatTable([
    ["MACHINE", "ROLE", "PRIVATE IP", "PUBLIC IP", "ZONE", "INSTANCE"],
    ...machines.map(({ name, role, privateIp, publicIp, zone, instanceId }) => [
      ...[name, role, privateIp, publicIp ?? "-", zone, instanceId],
    ]),
  ]);

async function printNodes(stack: Stack, apiEndpoint = ""): Promise<void> {
  const kubeconfig = join(stack.dir, stackFiles.kubeconfig);
  if (!existsSync(kubeconfig)) return;
  console.log("");
  await execa(await ensureKubectl(stack), ["--kubeconfig", kubeconfig, "get", "nodes", "-o", "wide"], {
    stdio: ["ignore", "inherit", "inherit"],
    reject: false,
  });
  console.log(`\nAPI endpoint  ${apiEndpoint}\nkubeconfig    ${here(stack, stackFiles.kubeconfig)}`);
}

function nextCommands(stack: Stack): string {
  const variable = stack.name === "local" ? "" : ` STACK=${stack.name}`;
  return `\nNext:
  eval "$(make -s env${variable})"        kubectl, pulumi and KUBECONFIG in this shell
  kubectl get pods -A -o wide
  ssh -F ${here(stack, stackFiles.sshConfig)} controller-0
  make labs${variable}                     run the experiments
  make down${variable}                     destroy the cluster`;
}
