/** Kubernetes quantities as whole numbers. Pure. https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/ */
import type { Stored } from "./kinds";

const binary: Readonly<Record<string, number>> = { Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40 };
const decimal: Readonly<Record<string, number>> = { "": 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12, m: 1e-3, u: 1e-6, n: 1e-9 };

/** @throws Error if the text is not a quantity. */
function amount(quantity: string): number {
  const match = /^([0-9.]+)([A-Za-z]*)$/.exec(quantity);
  const unit = binary[match?.[2] ?? ""] ?? decimal[match?.[2] ?? ""];
  if (!match || unit === undefined) throw new Error(`"${quantity}" is not a quantity`);
  return Number(match[1]) * unit;
}

/** "2" -> 2000, "1900m" -> 1900. */
export const millicores = (cpu: string | undefined): number => Math.round(amount(cpu ?? "0") * 1000);
/** "4014536Ki" -> 4014536, "1Gi" -> 1048576. */
export const kibibytes = (memory: string | undefined): number => Math.round(amount(memory ?? "0") / 1024);

/** What the scheduler counts as taken on a node: the requests of the pods bound to it that have not finished. */
export function requestedOn(node: string, pods: readonly Stored<"Pod">[]): { cpu: number; memory: number } {
  const there = pods.filter(
    (pod) => pod.spec.nodeName === node && !["Succeeded", "Failed"].includes(pod.status.phase ?? ""),
  );
  const containers = there.flatMap((pod) => pod.spec.containers);
  return {
    cpu: containers.reduce((sum, c) => sum + millicores(c.resources?.requests?.["cpu"]), 0),
    memory: containers.reduce((sum, c) => sum + kibibytes(c.resources?.requests?.["memory"]), 0),
  };
}
