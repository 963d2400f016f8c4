/** Runs upstream's conformance suite against a cluster, with one line per spec while it runs. */
import { createWriteStream, existsSync } from "node:fs";
import { mkdir, readFile, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { execa } from "execa";
import type { Cluster } from "../framework/cluster";
import { isWorker } from "../framework/states";
import { UserError } from "../../lib/errors";
import { run } from "../../lib/run";
import { progress } from "./progress";
import { type ConformanceResult, type GinkgoReport, resultOf } from "./result";

export interface Suite {
  /** Directory of e2e.test and ginkgo, in the cluster's version. */
  readonly programs: string;
  /** A regular expression on the specs' names; the whole suite if undefined. */
  readonly focus?: string | undefined;
  /** How many specs run at the same time. */
  readonly processes: number;
  readonly print: (line: string) => void;
}

/** Where the suite's own files go, below the report's directory: upstream's names, as a submission has them. */
export const files = { directory: "conformance", log: "e2e.log", junit: "junit_01.xml" } as const;

/**
 * Runs the suite. An interrupt from the terminal reaches it as well: it cleans up and reports what had run.
 * @param dir the report's directory.
 * @throws UserError if the cluster is too small for the suite, or if that ends without a report.
 */
export async function runConformance(suite: Suite, cluster: Cluster, dir: string): Promise<ConformanceResult> {
  if (!cluster.kubectl)
    throw new UserError("The suite needs kubectl, which was not found.", "Set the variable KUBECTL.");
  const workers = (await cluster.api.list("Node")).filter(isWorker);
  if (workers.length < 2)
    throw new UserError(`The suite needs two workers, but this cluster has ${workers.length}.`, "Set workerCount.");
  const directory = resolve(dir, files.directory); // the suite runs in the directory of its programs
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  const report = join(directory, "report.json");
  const args = [
    ...[`--procs=${suite.processes}`, "--timeout=24h", "--no-color", "-v", "--silence-skips"],
    ...["--label-filter=Conformance", ...(suite.focus === undefined ? [] : [`--focus=${suite.focus}`])],
    ...[`--output-dir=${directory}`, "--json-report=report.json"],
    ...[
      join(suite.programs, "e2e.test"),
      "--",
      "--provider=skeleton",
      "--disable-log-dump",
      `--report-dir=${directory}`,
    ],
    ...[`--kubeconfig=${resolve(cluster.kubectl.kubeconfig)}`, `--kubectl-path=${pathOf(cluster.kubectl.path)}`],
  ];
  const child = execa(join(suite.programs, "ginkgo"), args, {
    all: true,
    buffer: false,
    stdin: "ignore",
    reject: false,
  });
  const output = child.all!;
  output.pipe(createWriteStream(join(directory, files.log)));
  createInterface(output).on("line", progress(suite.processes, suite.print));
  const { exitCode } = await child;
  if (!existsSync(report))
    throw new Error(`the suite ended with exit code ${exitCode} and no report; see ${join(directory, files.log)}`);
  const [ginkgo] = JSON.parse(await readFile(report, "utf8")) as [GinkgoReport];
  await rm(report); // it lists every spec that was not chosen
  const version = (await run(join(suite.programs, "e2e.test"), ["--version"])).trim();
  const focus = suite.focus === undefined ? {} : { focus: suite.focus };
  return resultOf(ginkgo, { version, processes: suite.processes, ...focus });
}

/** A program's path for another directory; one that is named alone is found on the PATH from there as well. */
const pathOf = (program: string): string => (program.includes("/") ? resolve(program) : program);
