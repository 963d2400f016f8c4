/** What the report shows, and the form of its JSON. */
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
}

/**
 * Results of a run, plus those of earlier runs for labs that it did not include, in the order of the series: `make lab`
 * updates one lab of the report. Results from another cluster are left out.
 */
export function merged(
  earlier: Pick<Report, "clusterId" | "labs"> | undefined,
  clusterId: string,
  results: readonly LabResult[],
  order: readonly string[],
): LabResult[] {
  const kept = earlier?.clusterId === clusterId ? earlier.labs : [];
  const latest = new Map([...kept, ...results].map((result) => [result.name, result]));
  return order.flatMap((name) => latest.get(name) ?? []);
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
