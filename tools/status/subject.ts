/** What a stack consists of, from the outputs of its last update. */
import { join, relative } from "node:path";
import { stageOf } from "../../bootstrap/steps";
import { type Stage, stages } from "../../cluster/shape";
import { stackFiles, type StackOutputs } from "../outputs";
import type { Stack } from "../stack";
import type { Subject } from "./facts";

export function subjectOf(stack: Stack, outputs: StackOutputs): Subject {
  const address = addresses(outputs.sshConfig);
  const here = (file: string): string => relative(process.cwd(), join(stack.dir, file));
  return {
    stack: stack.name,
    isLocal: stack.isLocal,
    region: stack.region,
    ...{ kubeconfig: here(stackFiles.kubeconfig), sshConfig: here(stackFiles.sshConfig) },
    stage: lastStage(outputs.proofs),
    machines: outputs.nodes.map((machine) => ({ ...machine, address: address.get(machine.name) ?? machine.privateIp })),
    apiEndpoint: outputs.apiEndpoint,
    certificates: outputs.certificateExpiry,
  };
}

/** The address of each host in an ssh_config. Pure. */
export const addresses = (sshConfig: string): Map<string, string> =>
  new Map(
    [...sshConfig.matchAll(/^Host (\S+)\n\s+HostName (\S+)$/gm)].map(([, host = "", address = ""]) => [host, address]),
  );

/** The last stage of which a step has a proof, which says that it has run. Pure. */
export function lastStage(proofs: StackOutputs["proofs"]): Stage {
  const reached = Object.keys(proofs).map((id) => stages.indexOf(stageOf(id.split("@")[0] ?? "") ?? "machines"));
  return stages[Math.max(0, ...reached)] ?? "machines";
}

/** Whether the stack includes a stage. Pure. */
export const includes = ({ stage }: Subject, wanted: Stage): boolean => stages.indexOf(stage) >= stages.indexOf(wanted);
