/** tsx labs/cli.ts list | run NAME... | all   [--stack STACK | --kubeconfig FILE [--ssh-config FILE]] [--report DIR] */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { closest } from "fastest-levenshtein";
import { connect } from "./framework/connect";
import type { Lab } from "./framework/lab";
import { Progress } from "./framework/progress";
import { Interrupted, runLabs } from "./framework/runner";
import { labs } from ".";
import { writeReport } from "./report/write";
import { exitOnBrokenPipe } from "../lib/broken-pipe";

const usage = `usage: labs list
       labs run NAME...  [--stack STACK | --kubeconfig FILE [--ssh-config FILE]]
       labs all          [--stack STACK | --kubeconfig FILE [--ssh-config FILE]]`;

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

async function run(selected: readonly Lab[], values: Options): Promise<number> {
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
    const dir = values.report ?? join(cluster.dir, "report");
    const results = await runLabs(selected, cluster, new Progress(), interrupt.signal);
    const page = await writeReport(
      dir,
      cluster,
      results,
      labs.map((lab) => lab.name),
    );
    const count = (verdict: string): number => results.filter((r) => r.verdict === verdict).length;
    console.log(`\n${count("passed")} passed, ${count("failed")} failed, ${count("skipped")} skipped. Report: ${page}`);
    if (interrupt.signal.aborted) return 130;
    return count("failed") ? 1 : 0;
  } finally {
    await cluster.nodes?.close();
    cluster.api.close();
  }
}

interface Options {
  stack: string;
  kubeconfig?: string;
  "ssh-config"?: string;
  report?: string;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      stack: { type: "string", default: "local" },
      kubeconfig: { type: "string" },
      "ssh-config": { type: "string" },
      report: { type: "string" },
    },
  });
  const [command = "list", ...names] = positionals;
  if (command === "list") list();
  else if (command === "all") return run(labs, values);
  else if (command === "run" && names.length) return run(chosen(names), values);
  else throw new UsageError(usage);
  return 0;
}

exitOnBrokenPipe();
main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(error instanceof UsageError ? error.message : error);
    process.exit(2);
  },
);
