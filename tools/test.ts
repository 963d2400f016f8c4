/** Runs the checks and tests, and ends with one line for all of them: `N passed, N failed`. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { root } from "./places";

/** The result of one part of the tests. */
interface Verdict {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** A command that passes if it exits with 0. */
interface Check {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
}

const checks: readonly Check[] = [
  { name: "format", command: "prettier", args: ["--check", "--log-level=warn", "."] },
  { name: "types", command: "tsc", args: ["--noEmit"] },
  { name: "lint", command: "eslint", args: ["--max-warnings=0", "."] },
  { name: "shell and units", command: "bash", args: ["tools/check-files.sh"] },
];

async function runCheck({ name, command, args }: Check): Promise<Verdict> {
  const start = Date.now();
  const result = await execa(command, args, { cwd: root, all: true, reject: false, stdin: "ignore" });
  const seconds = ((Date.now() - start) / 1000).toFixed(1);
  const ok = result.exitCode === 0;
  console.log(`${ok ? "✓" : "✗"} ${name} (${seconds} s)`);
  if (!ok) console.log(result.all);
  return { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 };
}

/** Runs projects of vitest. A run without a report, or with an error outside any test, counts as one failure. */
async function runVitest(projects: readonly string[]): Promise<Verdict> {
  const dir = mkdtempSync(join(tmpdir(), "kfs-test-"));
  const report = join(dir, "report.json");
  try {
    const result = await execa(
      "vitest",
      [
        "run",
        "--passWithNoTests",
        ...projects.flatMap((project) => ["--project", project]),
        "--reporter=verbose",
        "--reporter=json",
        `--outputFile.json=${report}`,
      ],
      { cwd: root, stdio: ["ignore", "inherit", "inherit"], reject: false },
    );
    const { numPassedTests, numFailedTests, numPendingTests } = JSON.parse(readFileSync(report, "utf8")) as Record<
      string,
      number
    >;
    const failed = numFailedTests ?? 0;
    return {
      passed: numPassedTests ?? 0,
      failed: result.exitCode !== 0 && failed === 0 ? 1 : failed,
      skipped: numPendingTests ?? 0,
    };
  } catch (error) {
    console.error(`${projects.join(", ")}: ${(error as Error).message}`);
    return { passed: 0, failed: 1, skipped: 0 };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function main(): Promise<void> {
  const what = process.argv[2] ?? "all"; // check, drills or all
  const verdicts: Verdict[] = [];
  if (what === "check" || what === "all") {
    for (const check of checks) verdicts.push(await runCheck(check));
    verdicts.push(await runVitest(["unit", "program"]));
  }
  const failedSoFar = verdicts.some((verdict) => verdict.failed > 0);
  if (what === "all" && failedSoFar) console.log("Skipping the tests on the local cloud, because a check failed.");
  if (what === "all" && !failedSoFar) {
    for (const project of ["supply", "cloud", "labs", "e2e"]) verdicts.push(await runVitest([project]));
  }
  if (what === "drills") verdicts.push(await runVitest(["drills"]));
  const sum = (key: keyof Verdict): number => verdicts.reduce((total, verdict) => total + verdict[key], 0);
  const skipped = sum("skipped");
  console.log(`${sum("passed")} passed, ${sum("failed")} failed${skipped ? `, ${skipped} skipped` : ""}`);
  process.exitCode = sum("failed") === 0 && sum("passed") > 0 ? 0 : 1;
}

void main();
