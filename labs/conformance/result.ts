/** What became of a run of the conformance suite. Pure. */
import { stripVTControlCharacters } from "node:util";

export interface SpecResult {
  /** Its full name, such as "[sig-apps] ReplicaSet should … [Conformance]". */
  readonly name: string;
  readonly verdict: "passed" | "failed" | "skipped";
  readonly seconds: number;
  /** Why it failed or was skipped. */
  readonly reason?: string;
}

export interface ConformanceResult {
  /** The version of the suite, such as v1.36.3. */
  readonly version: string;
  /** The regular expression that chose a part of the suite. */
  readonly focus?: string;
  /** How many specs ran at the same time, but for those that must run alone. */
  readonly processes: number;
  readonly startedAt: string;
  readonly seconds: number;
  /** How many specs were chosen. */
  readonly total: number;
  /** Those that ran, sorted by name. */
  readonly specs: readonly SpecResult[];
  /** What went wrong outside of any spec, such as in the suite's own preparation. */
  readonly errors: readonly string[];
}

/** The parts of Ginkgo's JSON report that are used. Times are in nanoseconds. */
export interface GinkgoReport {
  readonly StartTime: string;
  readonly RunTime: number;
  readonly PreRunStats: { readonly SpecsThatWillRun: number };
  readonly SpecialSuiteFailureReasons: readonly string[] | null;
  readonly SpecReports: readonly GinkgoSpec[] | null;
}

export interface GinkgoSpec {
  readonly ContainerHierarchyTexts: readonly string[] | null;
  readonly LeafNodeType: string;
  readonly LeafNodeText: string;
  readonly State: "passed" | "skipped" | "pending" | "failed" | "aborted" | "panicked" | "interrupted" | "timedout";
  readonly RunTime: number;
  readonly Failure?: { readonly Message: string };
}

/** Reads Ginkgo's report of a run. Specs that were not chosen are left out; one that skipped itself says why. */
export function resultOf(
  report: GinkgoReport,
  run: Pick<ConformanceResult, "version" | "focus" | "processes">,
): ConformanceResult {
  const reports = report.SpecReports ?? [];
  const specs = reports.filter(({ LeafNodeType }) => LeafNodeType === "It").flatMap(specResult);
  const around = reports.filter(({ LeafNodeType, State }) => LeafNodeType !== "It" && State !== "passed");
  return {
    ...run,
    startedAt: report.StartTime,
    seconds: Math.round(report.RunTime / 1e9),
    total: report.PreRunStats.SpecsThatWillRun,
    specs: specs.sort((a, b) => a.name.localeCompare(b.name, "en")),
    errors: [
      ...new Set([
        ...around.map(({ LeafNodeType, State, Failure }) => `${LeafNodeType} ${State}: ${Failure?.Message ?? ""}`),
        ...(report.SpecialSuiteFailureReasons ?? []),
      ]),
    ].map((error) => stripVTControlCharacters(error).trim()),
  };
}

function specResult({ State, Failure, RunTime, ...names }: GinkgoSpec): SpecResult[] {
  const name = [...(names.ContainerHierarchyTexts ?? []), names.LeafNodeText].join(" ");
  const seconds = Math.round(RunTime / 1e8) / 10;
  if (State === "passed") return [{ name, verdict: "passed", seconds }];
  const isChosen = Failure !== undefined && Failure.Message !== "";
  if (State === "skipped" || State === "pending")
    return isChosen ? [{ name, verdict: "skipped", seconds, reason: Failure.Message }] : [];
  return [{ name, verdict: "failed", seconds, reason: `${State}: ${Failure?.Message ?? "no reason"}` }];
}

/** How many specs passed, failed, skipped themselves, or did not run at all. */
export function tallySpecs({ specs, total }: ConformanceResult): Record<SpecResult["verdict"] | "missing", number> {
  const count = (verdict: SpecResult["verdict"]): number => specs.filter((spec) => spec.verdict === verdict).length;
  return {
    passed: count("passed"),
    failed: count("failed"),
    skipped: count("skipped"),
    missing: Math.max(0, total - specs.length),
  };
}

/** Whether every spec that was chosen ran and passed. */
export const conforms = (result: ConformanceResult): boolean =>
  result.total > 0 && tallySpecs(result).passed === result.total && result.errors.length === 0;

/** The special interest group that a spec belongs to, such as "sig-apps". */
export const groupOf = ({ name }: SpecResult): string => /^\[(sig-[\w-]+)\]/.exec(name)?.[1] ?? "other";
