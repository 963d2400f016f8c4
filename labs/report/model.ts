/** What the report shows, and the form of its JSON. */
import type { ConformanceResult } from "../conformance/result";
import type { LabResult } from "../framework/result";

export interface ReportNode {
  readonly name: string;
  readonly role: "control-plane" | "worker";
  readonly zone: string;
  readonly address: string;
  readonly podCidr: string;
  readonly ready: boolean;
  readonly kubelet: string;
  readonly runtime: string;
  readonly os: string;
}

export interface Report {
  /** Name of the cluster: that of its stack, or of the kubeconfig's context. */
  readonly cluster: string;
  /** UID of the namespace kube-system, which identifies the cluster. */
  readonly clusterId: string;
  /** URL of the API server, from the kubeconfig. */
  readonly apiEndpoint: string;
  readonly startedAt: string;
  readonly seconds: number;
  readonly versions: Readonly<Record<string, string>>;
  readonly nodes: readonly ReportNode[];
  readonly labs: readonly LabResult[];
  readonly conformance?: ConformanceResult;
}

/** What a run has found out. */
export type Outcome = Pick<Report, "labs" | "conformance">;

/**
 * Results of a run, plus those of earlier runs for what it did not include, with the labs in the order of the series:
 * `make lab` updates one lab of the report. Results from another cluster are left out.
 */
export function merged(
  earlier: (Outcome & Pick<Report, "clusterId">) | undefined,
  clusterId: string,
  { labs, conformance }: Outcome,
  order: readonly string[],
): Outcome {
  const kept: Outcome = earlier?.clusterId === clusterId ? earlier : { labs: [] };
  const latest = new Map([...kept.labs, ...labs].map((result) => [result.name, result]));
  const suite = conformance ?? kept.conformance;
  return { labs: order.flatMap((name) => latest.get(name) ?? []), ...(suite ? { conformance: suite } : {}) };
}

/** Number of labs by verdict. */
export const tally = (labs: readonly LabResult[]): Record<LabResult["verdict"], number> => ({
  passed: labs.filter((lab) => lab.verdict === "passed").length,
  failed: labs.filter((lab) => lab.verdict === "failed").length,
  skipped: labs.filter((lab) => lab.verdict === "skipped").length,
});

/** 75 -> "1 min 15 s". */
export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
