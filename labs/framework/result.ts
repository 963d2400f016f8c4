/** What became of a lab: its article, its verdict, and everything that was seen. */
import type { Claim } from "./expectation";
import type { Change, Step } from "./timeline";

/** An article of the series, in the words of the report. */
export interface Article {
  /** Folder under labs/, and the name on the command line. */
  readonly name: string;
  readonly title: string;
  /** Part of the series, such as "IV · Workloads". */
  readonly part: string;
  /** What should be true, in one or two sentences; the claims are its parts. */
  readonly hypothesis: string;
}

export type Verdict = "passed" | "failed" | "skipped";

/** Outcome of a lab; the report's JSON is a list of these. */
export interface LabResult extends Article {
  readonly verdict: Verdict;
  /** Why it failed or was skipped. */
  readonly reason?: string;
  readonly startedAt: string;
  readonly seconds: number;
  readonly claims: readonly Claim[];
  readonly steps: readonly Step[];
  readonly changes: readonly Change[];
  /** Values worth keeping that no claim judges. */
  readonly evidence: Readonly<Record<string, unknown>>;
}
