/** Runs the checks and the tests, and prints one line for all of them at the end: `N passed, N failed`. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { root } from "./places";

/** How many checks or tests passed, failed and were skipped. */
interface Count {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** A check is a command that must exit with 0. */
interface Check {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
}

/** The folders that hold code. */
const folders = ["program", "infra", "bootstrap", "cluster", "cloud", "supply", "lib", "labs", "tools", "test"];

const checks: readonly Check[] = [
  { name: "format", command: "prettier", args: ["--check", "--log-level=warn", "."] },
  { name: "types", command: "tsc", args: ["--noEmit"] },
  { name: "lint", command: "eslint", args: ["--max-warnings=0", "."] },
  { name: "floors", command: "depcruise", args: ["--config", ".dependency-cruiser.cjs", ...folders] },
  { name: "shell and units", command: "bash", args: ["tools/check-files.sh"] },
];

/** The projects of vitest.config.mts, in the order in which they run; each list is one run of Vitest. */
const projects = {
  /** After the checks. */
  check: [["unit", "program"]],
  /** After all of that has passed. */
  all: [["supply"], ["cloud"], ["labs"], ["e2e"]],
  drills: [["drills"]],
};

async function runCheck({ name, command, args }: Check): Promise<Count> {
  const start = Date.now();
  const result = await execa(command, args, { cwd: root, all: true, reject: false, stdin: "ignore" });
  const seconds = ((Date.now() - start) / 1000).toFixed(1);
  const ok = result.exitCode === 0;
  console.log(`${ok ? "✓" : "✗"} ${name} (${seconds} s)`);
  if (!ok) console.log(result.all);
  return { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 };
}

/** Runs Vitest once. A run without a report, or with an error outside any test, counts as one failure. */
async function runVitest(names: readonly string[]): Promise<Count> {
  const dir = mkdtempSync(join(tmpdir(), "kfs-test-"));
  const report = join(dir, "report.json");
  const reporters = ["--reporter=verbose", "--reporter=json", `--outputFile.json=${report}`];
  const args = ["run", "--passWithNoTests", ...names.flatMap((name) => ["--project", name]), ...reporters];
  try {
    const result = await execa("vitest", args, { cwd: root, stdio: ["ignore", "inherit", "inherit"], reject: false });
    const counts = JSON.parse(readFileSync(report, "utf8")) as Record<string, number | undefined>;
    const failed = counts["numFailedTests"] ?? 0;
    return {
      passed: counts["numPassedTests"] ?? 0,
      failed: result.exitCode !== 0 && failed === 0 ? 1 : failed,
      skipped: counts["numPendingTests"] ?? 0,
    };
  } catch (error) {
    console.error(`${names.join(", ")}: ${(error as Error).message}`);
    return { passed: 0, failed: 1, skipped: 0 };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function main(): Promise<void> {
  const what = process.argv[2] ?? "all";
  const counts: Count[] = [];
  const sum = (key: keyof Count): number => counts.reduce((total, count) => total + count[key], 0);
  const run = async (runs: readonly string[][]): Promise<void> => {
    for (const names of runs) counts.push(await runVitest(names));
  };
  if (what === "check" || what === "all") {
    for (const check of checks) counts.push(await runCheck(check));
    await run(projects.check);
  }
  if (what === "all") {
    if (sum("failed") === 0) await run(projects.all);
    else console.log("All other tests are skipped until the checks pass.");
  }
  if (what === "drills") await run(projects.drills);
  const skipped = sum("skipped");
  console.log(`${sum("passed")} passed, ${sum("failed")} failed${skipped ? `, ${skipped} skipped` : ""}`);
  process.exitCode = sum("failed") === 0 && sum("passed") > 0 ? 0 : 1;
}

void main();
