/** tsx labs/cli.ts list | run NAME... | all   [--stack STACK | --kubeconfig FILE [--ssh-config FILE]] [--report DIR] */
import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { closest } from "fastest-levenshtein";
import { files, runConformance } from "./conformance/run";
import { conforms, tallySpecs } from "./conformance/result";
import type { Cluster } from "./framework/cluster";
import { connect } from "./framework/connect";
import type { Lab } from "./framework/lab";
import { Progress } from "./framework/progress";
import { Interrupted, runLabs } from "./framework/runner";
import { labs } from ".";
import { writeReport } from "./report/write";
import { exitOnBrokenPipe } from "../lib/broken-pipe";
import { UserError } from "../lib/errors";

const usage = `usage: labs list
       labs run NAME...  [--stack STACK | --kubeconfig FILE [--ssh-config FILE]]
       labs all          [--stack STACK | --kubeconfig FILE [--ssh-config FILE]]
       labs conformance --programs DIR [--focus REGEXP] [--procs N]  [--stack STACK | --kubeconfig FILE]`;

/** An error in the command line: printed without a stack trace, exit code 2. */
class UsageError extends Error {}

function chosen(names: readonly string[]): Lab[] {
  return names.map((name) => {
    const lab = labs.find((l) => l.name === name);
    if (!lab)
      throw new UsageError(
        `there is no lab named "${name}"; did you mean "${closest(
          name,
          labs.map((l) => l.name),
        )}"?`,
      );
    return lab;
  });
}

function list(): void {
  const width = Math.max(...labs.map((lab) => lab.name.length));
  for (const lab of labs) console.log(`  ${lab.name.padEnd(width)}  ${lab.title}`);
  console.log(`\n  make lab LAB=<name>    make labs`);
}

/** Runs a task on the cluster that the options name, until it ends or Ctrl-C aborts it. @returns its exit code. */
async function onCluster(
  values: Options,
  task: (cluster: Cluster, dir: string, interrupt: AbortSignal) => Promise<number>,
): Promise<number> {
  const kubeconfig = values.kubeconfig ?? join(".lab", values.stack, "kubeconfig");
  if (!existsSync(kubeconfig))
    throw new UsageError(
      `${kubeconfig} does not exist. Is the stack up? Run make up STACK=${values.stack}, or give --kubeconfig FILE.`,
    );
  const interrupt = new AbortController();
  const stop = (): void => {
    if (interrupt.signal.aborted) return;
    console.log("\n  Interrupted: restoring everything first.");
    interrupt.abort(new Interrupted());
  };
  process.on("SIGINT", stop).on("SIGTERM", stop);

  const cluster = await connect({
    kubeconfig,
    stack: values.kubeconfig ? undefined : values.stack,
    sshConfig: values["ssh-config"] ?? (values.kubeconfig ? undefined : join(dirname(kubeconfig), "ssh_config")),
  });
  try {
    const code = await task(cluster, values.report ?? join(cluster.dir, "report"), interrupt.signal);
    return interrupt.signal.aborted ? 130 : code;
  } finally {
    await cluster.nodes?.close();
    cluster.api.close();
  }
}

const order = labs.map((lab) => lab.name);

const run = (selected: readonly Lab[], values: Options): Promise<number> =>
  onCluster(values, async (cluster, dir, interrupt) => {
    const results = await runLabs(selected, cluster, new Progress(), interrupt);
    const page = await writeReport(dir, cluster, { labs: results }, order);
    const count = (verdict: string): number => results.filter((r) => r.verdict === verdict).length;
    console.log(`\n${count("passed")} passed, ${count("failed")} failed, ${count("skipped")} skipped. Report: ${page}`);
    return count("failed") ? 1 : 0;
  });

const conformance = (programs: string, values: Options): Promise<number> =>
  onCluster(values, async (cluster, dir) => {
    const processes = values.procs === undefined ? Math.max(4, 2 * availableParallelism()) : Number(values.procs);
    if (!Number.isInteger(processes) || processes < 1) throw new UsageError(`--procs ${values.procs} is not a number`);
    const suite = { programs, focus: values.focus, processes, print: (line: string) => console.log(line) };
    const result = await runConformance(suite, cluster, dir);
    const page = await writeReport(dir, cluster, { labs: [], conformance: result }, order);
    const { passed, failed, skipped, missing } = tallySpecs(result);
    for (const { name, verdict, reason } of result.specs)
      if (verdict !== "passed") console.log(`\n✗ ${name}\n    ${verdict}: ${reason?.trim().split("\n")[0]}`);
    for (const error of result.errors) console.log(`\n✗ ${error}`);
    if (result.total === 0) console.log("\n✗ No conformance spec matches FOCUS.");
    console.log(
      `\nConformance ${result.version}: ${passed} passed, ${failed} failed, ${skipped} skipped, ${missing} not run, in ${result.seconds} s.`,
    );
    console.log(`Report: ${page}; the suite's own files: ${join(dir, files.directory)}`);
    return conforms(result) ? 0 : 1;
  });

interface Options {
  stack: string;
  kubeconfig?: string;
  "ssh-config"?: string;
  report?: string;
  programs?: string;
  focus?: string;
  procs?: string;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      stack: { type: "string", default: "local" },
      kubeconfig: { type: "string" },
      "ssh-config": { type: "string" },
      report: { type: "string" },
      programs: { type: "string" },
      focus: { type: "string" },
      procs: { type: "string" },
    },
  });
  const [command = "list", ...names] = positionals;
  if (command === "list") list();
  else if (command === "all") return run(labs, values);
  else if (command === "run" && names.length) return run(chosen(names), values);
  else if (command === "conformance" && values.programs) return conformance(values.programs, values);
  else throw new UsageError(usage);
  return 0;
}

exitOnBrokenPipe();
main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(error instanceof UsageError || error instanceof UserError ? error.message : error);
    process.exit(2);
  },
);
