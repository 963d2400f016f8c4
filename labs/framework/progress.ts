/** Live progress on the terminal, by lab and step, with failures in plain words. */
import { styleText } from "node:util";
import type { Claim } from "./expectation";
import type { Article, LabResult } from "./result";
import type { Phase } from "./timeline";
import { brief } from "./wait";

export class Progress {
  /** Lines to print below the current step once it ends. */
  private held: string[] | undefined;

  /**
   * @param print receives finished lines.
   * @param hint shows the current step until the next call, if the terminal can erase it.
   */
  constructor(
    private readonly print: (line: string) => void = (line) => console.log(line),
    private readonly hint: (text: string) => void = transient,
  ) {}

  private write(line: string): void {
    if (this.held) this.held.push(line);
    else this.print(line);
  }

  lab(lab: Article, position: number, count: number): void {
    this.write(`\n${styleText("bold", `${position}/${count}  ${lab.title}`)}  ${styleText("dim", `(${lab.name})`)}`);
    this.write(styleText("dim", `      ${lab.hypothesis}`));
  }

  async step<T>(phase: Phase, title: string, run: () => Promise<T>): Promise<T> {
    const start = performance.now();
    this.held = [];
    this.hint(`  … ${phase.padEnd(8)} ${title}`);
    const end = (mark: string): void => {
      const seconds = `${((performance.now() - start) / 1000).toFixed(1)} s`;
      this.hint("");
      this.print(`  ${mark} ${styleText("cyan", phase.padEnd(8))} ${title}  ${styleText("dim", seconds)}`);
      for (const line of this.held ?? []) this.print(line);
      this.held = undefined;
    };
    try {
      const value = await run();
      end(styleText("green", "✓"));
      return value;
    } catch (error) {
      end(styleText("red", "✗"));
      throw error;
    }
  }

  claim(claim: Claim): void {
    if (claim.holds)
      return this.write(
        `    ${styleText("green", "✓")} ${claim.text}: ${styleText("dim", brief(claim.observed, 100))}`,
      );
    this.write(`    ${styleText("red", "✗")} ${claim.text}`);
    this.write(`        predicted: ${brief(claim.predicted)}`);
    this.write(`        observed:  ${brief(claim.observed)}`);
  }

  note(text: string): void {
    this.write(`    ${styleText("dim", text)}`);
  }

  verdict(result: LabResult): void {
    const held = result.claims.filter((claim) => claim.holds).length;
    const words = {
      passed: styleText("green", `  ● passed`) + `: ${held} claims held`,
      failed: styleText("red", `  ● failed`) + `: ${result.reason ?? ""}`,
      skipped: styleText("yellow", `  ● skipped`) + `: ${result.reason ?? ""}`,
    };
    this.write(`${words[result.verdict]}  ${styleText("dim", `${result.seconds.toFixed(0)} s`)}`);
  }
}

/** Shows a text until the next one, only on a terminal. */
function transient(text: string): void {
  if (process.stdout.isTTY) process.stdout.write(`\r\u001b[K${text}`);
}
