/** Follows a run of the suite by what Ginkgo prints in its verbose mode. */
import { styleText } from "node:util";

/**
 * Reads the output line by line, and prints one line for each spec that has ended.
 * @param processes how many the suite has: a single one prints a spec's name when it starts, several when it has ended.
 */
export function progress(processes: number, print: (line: string) => void): (line: string) => void {
  let [total, ended, name] = ["?", 0, ""];
  let end: { readonly failed: boolean; readonly seconds: string } | undefined;
  const report = (): void => {
    if (!end) return;
    const mark = end.failed ? styleText("red", "✗") : styleText("green", "✓");
    print(`  ${mark} ${styleText("dim", `${++ended}/${total}`)}  ${name}  ${styleText("dim", `${end.seconds} s`)}`);
    end = undefined;
  };
  return (line) => {
    total = /^Will run (\d+) of /.exec(line)?.[1] ?? total;
    const [, state, seconds] = /^• (\[[A-Z ]+\] )?\[([\d.]+) seconds\]$/.exec(line) ?? [];
    if (seconds !== undefined) {
      end = { failed: state !== undefined, seconds: Number(seconds).toFixed(1) };
      if (processes === 1) report();
    } else if (line.startsWith("[sig-")) {
      name = line.replace(/ \[[^[\]]*\]$/, "").replace(" [It] ", " "); // without labels, and where it failed
      report();
    }
  };
}
