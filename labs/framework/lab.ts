/** What a lab is, and what became of it. */
import type { Bench } from "./bench";
import type { Need } from "./cluster";
import type { Claim } from "./expectation";
import type { Change, Step } from "./timeline";

/** One article of the series as an experiment. */
export interface Lab {
  /** Folder under labs/, and the name on the command line. */
  readonly name: string;
  /** Title of the article. */
  readonly title: string;
  /** Part of the series, such as "IV · Workloads". */
  readonly part: string;
  /** What should be true, in one or two sentences; the claims are its parts. */
  readonly hypothesis: string;
  readonly needs?: readonly Need[];
  /** Bound of the whole experiment in seconds; 240 unless given. */
  readonly limit?: number;
  /** The experiment. What it makes in its namespaces needs no clean-up; what it changes elsewhere goes through the bench. */
  readonly experiment: (bench: Bench) => Promise<void>;
}

export type Verdict = "passed" | "failed" | "skipped";

/** Outcome of a lab; the report's JSON is a list of these. */
export interface LabResult {
  readonly name: string;
  readonly title: string;
  readonly part: string;
  readonly hypothesis: string;
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
