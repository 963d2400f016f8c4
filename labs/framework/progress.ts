/** Live progress on the terminal: by lab and step, and what failed in plain words. */
import { styleText } from "node:util";
import type { Claim } from "./expectation";
import type { Lab, LabResult } from "./lab";
import type { Phase } from "./timeline";
import { brief } from "./wait";

export class Progress {
  constructor(private readonly write: (line: string) => void = (line) => console.log(line)) {}

  lab(lab: Lab, position: number, count: number): void {
    this.write(`\n${styleText("bold", `${position}/${count}  ${lab.title}`)}  ${styleText("dim", `(${lab.name})`)}`);
    this.write(styleText("dim", `      ${lab.hypothesis}`));
  }

  async step<T>(phase: Phase, title: string, run: () => Promise<T>): Promise<T> {
    const start = performance.now();
    const line = (mark: string): string => {
      const seconds = `${((performance.now() - start) / 1000).toFixed(1)} s`;
      return `  ${mark} ${styleText("cyan", phase.padEnd(8))} ${title}  ${styleText("dim", seconds)}`;
    };
    try {
      const value = await run();
      this.write(line(styleText("green", "✓")));
      return value;
    } catch (error) {
      this.write(line(styleText("red", "✗")));
      throw error;
    }
  }

  claim(claim: Claim): void {
    if (claim.holds) return this.write(`    ${styleText("green", "✓")} ${claim.text}: ${styleText("dim", brief(claim.observed, 100))}`);
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
