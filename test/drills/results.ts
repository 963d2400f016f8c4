/** Keeps what the drills found, as a table for the README. */
import { appendFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import { labDir } from "../../tools/places";

const file = join(labDir, "drills.md");

/** Adds a row: what was done, what was seen. */
export function record(drill: string, result: string): void {
  mkdirSync(labDir, { recursive: true });
  if (!existsSync(file)) {
    const machine = `${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB`;
    writeFileSync(file, `${new Date().toISOString().slice(0, 10)}, ${machine}\n\n| drill | result |\n| --- | --- |\n`);
  }
  appendFileSync(file, `| ${drill} | ${result} |\n`);
  console.log(`${drill}: ${result}`);
}
