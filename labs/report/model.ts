/** What the report shows; also its JSON. */
import type { LabResult } from "../framework/lab";

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
  /** Name of the cluster: its stack, or the kubeconfig's context. */
  readonly cluster: string;
  /** URL of the API server as the kubeconfig has it. */
  readonly apiEndpoint: string;
  readonly startedAt: string;
  readonly seconds: number;
  readonly versions: Readonly<Record<string, string>>;
  readonly nodes: readonly ReportNode[];
  readonly labs: readonly LabResult[];
}

/** Verdicts counted. */
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
